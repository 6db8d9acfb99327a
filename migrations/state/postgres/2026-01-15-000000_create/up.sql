-- What retentiond remembers of itself: runs, their steps, leases, pauses.

CREATE TABLE runs (
    id           VARCHAR(40)  NOT NULL PRIMARY KEY,
    job          VARCHAR(64)  NOT NULL,
    kind         VARCHAR(64)  NOT NULL,
    policy_hash  VARCHAR(64)  NOT NULL,
    started_at   TIMESTAMP  NOT NULL,
    ended_at     TIMESTAMP,
    -- NULL while it runs; then complete, truncated, braked, held, stopped, failed or interrupted.
    outcome      VARCHAR(20),
    cutoff       TIMESTAMP,
    row_count    BIGINT       NOT NULL DEFAULT 0,
    file_count   BIGINT       NOT NULL DEFAULT 0,
    host         VARCHAR(128) NOT NULL,
    note         TEXT
);
CREATE INDEX runs_job ON runs (job, started_at);

CREATE TABLE run_steps (
    run_id       VARCHAR(40)  NOT NULL,
    position     INTEGER      NOT NULL,
    data         VARCHAR(64)  NOT NULL,
    store        VARCHAR(64)  NOT NULL,
    action       VARCHAR(20)  NOT NULL,
    rule         VARCHAR(64),
    row_count    BIGINT       NOT NULL,
    file_count   BIGINT       NOT NULL,
    held_count   BIGINT       NOT NULL,
    cutoff       TIMESTAMP,
    PRIMARY KEY (run_id, position)
);

-- A lease keeps its row for ever: its token must never go back.
CREATE TABLE leases (
    job          VARCHAR(64)  NOT NULL PRIMARY KEY,
    holder       VARCHAR(190) NOT NULL,
    token        BIGINT       NOT NULL,
    expires_at   TIMESTAMP  NOT NULL
);

-- The job '' stands for all jobs.
CREATE TABLE pauses (
    job          VARCHAR(64)  NOT NULL PRIMARY KEY,
    since        TIMESTAMP  NOT NULL
);
