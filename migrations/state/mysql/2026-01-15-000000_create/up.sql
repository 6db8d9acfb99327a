-- What retentiond remembers of itself: runs, their steps, leases, pauses.
--
-- DDL is committed statement by statement here, so each may be repeated after a kill.

CREATE TABLE IF NOT EXISTS runs (
    id           VARCHAR(40)  NOT NULL PRIMARY KEY,
    job          VARCHAR(64)  NOT NULL,
    kind         VARCHAR(64)  NOT NULL,
    policy_hash  VARCHAR(64)  NOT NULL,
    started_at   DATETIME(6)  NOT NULL,
    ended_at     DATETIME(6) NULL,
    -- NULL while it runs; then complete, truncated, braked, held, stopped, failed or interrupted.
    outcome      VARCHAR(20),
    cutoff       DATETIME(6) NULL,
    row_count    BIGINT       NOT NULL DEFAULT 0,
    file_count   BIGINT       NOT NULL DEFAULT 0,
    host         VARCHAR(128) NOT NULL,
    note         TEXT,
    KEY runs_job (job, started_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS run_steps (
    run_id       VARCHAR(40)  NOT NULL,
    position     INTEGER      NOT NULL,
    data         VARCHAR(64)  NOT NULL,
    store        VARCHAR(64)  NOT NULL,
    action       VARCHAR(20)  NOT NULL,
    rule         VARCHAR(64),
    row_count    BIGINT       NOT NULL,
    file_count   BIGINT       NOT NULL,
    held_count   BIGINT       NOT NULL,
    cutoff       DATETIME(6) NULL,
    PRIMARY KEY (run_id, position)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- A lease keeps its row for ever: its token must never go back.
CREATE TABLE IF NOT EXISTS leases (
    job          VARCHAR(64)  NOT NULL PRIMARY KEY,
    holder       VARCHAR(190) NOT NULL,
    token        BIGINT       NOT NULL,
    expires_at   DATETIME(6)  NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- The job '' stands for all jobs.
CREATE TABLE IF NOT EXISTS pauses (
    job          VARCHAR(64)  NOT NULL PRIMARY KEY,
    since        DATETIME(6)  NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
