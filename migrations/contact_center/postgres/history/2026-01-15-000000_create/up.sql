-- History: one row of statistics per contact, and users' work time, kept longer than the contacts.
-- Times carry their zone.

-- contact_id is a key of the operative database.
CREATE TABLE contact_statistics (
    contact_id BIGINT PRIMARY KEY,
    channel VARCHAR(10) NOT NULL,
    queue_id VARCHAR(40),
    agent_id BIGINT,
    agent_login VARCHAR(80),
    caller_number VARCHAR(60),
    wait_seconds INTEGER NOT NULL,
    talk_seconds INTEGER NOT NULL,
    contact_started_at TIMESTAMPTZ NOT NULL,
    archived_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX contact_statistics_agent_id ON contact_statistics (agent_id);
CREATE INDEX contact_statistics_archived_at ON contact_statistics (archived_at);

CREATE TABLE agent_work_time (
    id BIGINT PRIMARY KEY,
    user_id BIGINT NOT NULL,
    agent_name VARCHAR(200),
    presence VARCHAR(40) NOT NULL,
    seconds INTEGER NOT NULL,
    day_start TIMESTAMPTZ NOT NULL,
    archived_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX agent_work_time_user_id ON agent_work_time (user_id);
CREATE INDEX agent_work_time_day_start ON agent_work_time (day_start);
