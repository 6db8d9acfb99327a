-- History: one row of statistics per contact, and users' work time, kept longer than the contacts.
-- Times are in UTC.

-- contact_id is a key of the operative database.
CREATE TABLE contact_statistics (
    contact_id BIGINT NOT NULL PRIMARY KEY,
    channel VARCHAR(10) NOT NULL,
    queue_id VARCHAR(40) NULL,
    agent_id BIGINT NULL,
    agent_login VARCHAR(80) NULL,
    caller_number VARCHAR(60) NULL,
    wait_seconds INT NOT NULL,
    talk_seconds INT NOT NULL,
    contact_started_at DATETIME(6) NOT NULL,
    archived_at DATETIME(6) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE INDEX contact_statistics_agent_id ON contact_statistics (agent_id);
CREATE INDEX contact_statistics_archived_at ON contact_statistics (archived_at);

CREATE TABLE agent_work_time (
    id BIGINT NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL,
    agent_name VARCHAR(200) NULL,
    presence VARCHAR(40) NOT NULL,
    seconds INT NOT NULL,
    day_start DATETIME(6) NOT NULL,
    archived_at DATETIME(6) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE INDEX agent_work_time_user_id ON agent_work_time (user_id);
CREATE INDEX agent_work_time_day_start ON agent_work_time (day_start);
