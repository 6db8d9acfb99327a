-- Reporting: counts per interval, of queues and of agents.
-- Times are text, YYYY-MM-DD HH:MM:SS, in UTC.

-- A composite key of three.
CREATE TABLE contact_intervals (
    queue_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    interval_start TEXT NOT NULL,
    offered INTEGER NOT NULL,
    answered INTEGER NOT NULL,
    abandoned INTEGER NOT NULL,
    talk_seconds INTEGER NOT NULL,
    counted_at TEXT NOT NULL,
    PRIMARY KEY (queue_id, channel, interval_start)
);
CREATE INDEX contact_intervals_interval_start ON contact_intervals (interval_start);

CREATE TABLE agent_intervals (
    id INTEGER NOT NULL PRIMARY KEY,
    user_id INTEGER NOT NULL,
    login_id TEXT NOT NULL,
    interval_start TEXT NOT NULL,
    contacts INTEGER NOT NULL,
    talk_seconds INTEGER NOT NULL,
    counted_at TEXT NOT NULL
);
CREATE INDEX agent_intervals_user_id ON agent_intervals (user_id);
CREATE INDEX agent_intervals_interval_start ON agent_intervals (interval_start);
