-- Monitoring: what supervisors see on their screens. Times are seconds since 1970; 0 means never.

CREATE TABLE live_agents (
    id INTEGER NOT NULL PRIMARY KEY,
    user_id INTEGER NOT NULL,
    login_id TEXT NOT NULL,
    state TEXT NOT NULL,
    current_caller TEXT,
    state_since INTEGER NOT NULL,
    updated_at INTEGER
);
CREATE INDEX live_agents_user_id ON live_agents (user_id);
CREATE INDEX live_agents_updated_at ON live_agents (updated_at);

CREATE TABLE live_queues (
    id INTEGER NOT NULL PRIMARY KEY,
    queue_id TEXT NOT NULL,
    waiting INTEGER NOT NULL,
    first_caller TEXT,
    oldest_since INTEGER NOT NULL,
    updated_at INTEGER
);
CREATE INDEX live_queues_updated_at ON live_queues (updated_at);
