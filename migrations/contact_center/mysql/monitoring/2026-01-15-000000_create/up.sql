-- Monitoring: what supervisors see on their screens. Times are seconds since 1970; 0 means never.

CREATE TABLE live_agents (
    id BIGINT NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL,
    login_id VARCHAR(80) NOT NULL,
    state VARCHAR(40) NOT NULL,
    current_caller VARCHAR(60) NULL,
    state_since BIGINT NOT NULL,
    updated_at BIGINT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE INDEX live_agents_user_id ON live_agents (user_id);
CREATE INDEX live_agents_updated_at ON live_agents (updated_at);

CREATE TABLE live_queues (
    id BIGINT NOT NULL PRIMARY KEY,
    queue_id VARCHAR(40) NOT NULL,
    waiting INT NOT NULL,
    first_caller VARCHAR(60) NULL,
    oldest_since BIGINT NOT NULL,
    updated_at BIGINT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE INDEX live_queues_updated_at ON live_queues (updated_at);
