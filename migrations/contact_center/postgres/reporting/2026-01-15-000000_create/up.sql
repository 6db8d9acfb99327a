-- Reporting: counts per interval, of queues and of agents.
-- Times carry their zone.

-- A composite key of three.
CREATE TABLE contact_intervals (
    queue_id VARCHAR(40) NOT NULL,
    channel VARCHAR(10) NOT NULL,
    interval_start TIMESTAMPTZ NOT NULL,
    offered INTEGER NOT NULL,
    answered INTEGER NOT NULL,
    abandoned INTEGER NOT NULL,
    talk_seconds INTEGER NOT NULL,
    counted_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (queue_id, channel, interval_start)
);
CREATE INDEX contact_intervals_interval_start ON contact_intervals (interval_start);

CREATE TABLE agent_intervals (
    id BIGINT PRIMARY KEY,
    user_id BIGINT NOT NULL,
    login_id VARCHAR(80) NOT NULL,
    interval_start TIMESTAMPTZ NOT NULL,
    contacts INTEGER NOT NULL,
    talk_seconds INTEGER NOT NULL,
    counted_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX agent_intervals_user_id ON agent_intervals (user_id);
CREATE INDEX agent_intervals_interval_start ON agent_intervals (interval_start);
