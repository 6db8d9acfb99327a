-- Monitoring: what supervisors see on their screens. Times are seconds since 1970; 0 means never.

CREATE TABLE live_agents (
    id BIGINT PRIMARY KEY,
    user_id BIGINT NOT NULL,
    login_id VARCHAR(80) NOT NULL,
    state VARCHAR(40) NOT NULL,
    current_caller VARCHAR(60),
    state_since BIGINT NOT NULL,
    updated_at BIGINT
);
CREATE INDEX live_agents_user_id ON live_agents (user_id);
CREATE INDEX live_agents_updated_at ON live_agents (updated_at);

CREATE TABLE live_queues (
    id BIGINT PRIMARY KEY,
    queue_id VARCHAR(40) NOT NULL,
    waiting INTEGER NOT NULL,
    first_caller VARCHAR(60),
    oldest_since BIGINT NOT NULL,
    updated_at BIGINT
);
CREATE INDEX live_queues_updated_at ON live_queues (updated_at);
