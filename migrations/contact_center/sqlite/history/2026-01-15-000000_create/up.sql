-- History: one row of statistics per contact, and users' work time, kept longer than the contacts.
-- Times are text, YYYY-MM-DD HH:MM:SS, in UTC.

-- contact_id is a key of the operative database.
CREATE TABLE contact_statistics (
    contact_id INTEGER NOT NULL PRIMARY KEY,
    channel TEXT NOT NULL,
    queue_id TEXT,
    agent_id INTEGER,
    agent_login TEXT,
    caller_number TEXT,
    wait_seconds INTEGER NOT NULL,
    talk_seconds INTEGER NOT NULL,
    contact_started_at TEXT NOT NULL,
    archived_at TEXT NOT NULL
);
CREATE INDEX contact_statistics_agent_id ON contact_statistics (agent_id);
CREATE INDEX contact_statistics_archived_at ON contact_statistics (archived_at);

CREATE TABLE agent_work_time (
    id INTEGER NOT NULL PRIMARY KEY,
    user_id INTEGER NOT NULL,
    agent_name TEXT,
    presence TEXT NOT NULL,
    seconds INTEGER NOT NULL,
    day_start TEXT NOT NULL,
    archived_at TEXT NOT NULL
);
CREATE INDEX agent_work_time_user_id ON agent_work_time (user_id);
CREATE INDEX agent_work_time_day_start ON agent_work_time (day_start);
