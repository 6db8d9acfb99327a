-- Reporting: counts per interval, of queues and of agents.
-- Times are in UTC.

-- A composite key of three.
CREATE TABLE contact_intervals (
    queue_id VARCHAR(40) NOT NULL,
    channel VARCHAR(10) NOT NULL,
    interval_start DATETIME(6) NOT NULL,
    offered INT NOT NULL,
    answered INT NOT NULL,
    abandoned INT NOT NULL,
    talk_seconds INT NOT NULL,
    counted_at DATETIME(6) NOT NULL,
    PRIMARY KEY (queue_id, channel, interval_start)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE INDEX contact_intervals_interval_start ON contact_intervals (interval_start);

CREATE TABLE agent_intervals (
    id BIGINT NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL,
    login_id VARCHAR(80) NOT NULL,
    interval_start DATETIME(6) NOT NULL,
    contacts INT NOT NULL,
    talk_seconds INT NOT NULL,
    counted_at DATETIME(6) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE INDEX agent_intervals_user_id ON agent_intervals (user_id);
CREATE INDEX agent_intervals_interval_start ON agent_intervals (interval_start);
