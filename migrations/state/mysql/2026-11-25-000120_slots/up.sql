-- When each job was due, and what became of it. A slot is open until it has ended; whoever has the job's lease works on
-- its oldest open slot, so what a killed daemon leaves open is taken up by the next.
--
-- DDL is committed statement by statement here, so each may be repeated after a kill.

CREATE TABLE IF NOT EXISTS slots (
    job          VARCHAR(64)  NOT NULL,
    slot         DATETIME(6)  NOT NULL,
    -- schedule or catch_up.
    started_by   VARCHAR(20)  NOT NULL,
    claimed_at   DATETIME(6)  NOT NULL,
    -- How many runs of it were begun.
    attempts     INTEGER      NOT NULL,
    -- No run of it is begun earlier.
    not_before   DATETIME(6)  NOT NULL,
    -- Its last run.
    run_id       VARCHAR(40),
    ended_at     DATETIME(6) NULL,
    -- The outcome of its last run; or skipped or missed, when there was none.
    outcome      VARCHAR(20),
    -- How many slots a skipped or missed row stands for.
    stands_for   BIGINT       NOT NULL,
    PRIMARY KEY (job, slot),
    KEY slots_open (ended_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- A job that is new, or whose schedule was changed, is never due for the time before.
CREATE TABLE IF NOT EXISTS schedules (
    job          VARCHAR(64)  NOT NULL PRIMARY KEY,
    fingerprint  VARCHAR(64)  NOT NULL,
    since        DATETIME(6)  NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Clocks that are in doubt: the host's ('host:NAME'), or a store's whose difference was accepted ('store:NAME').
CREATE TABLE IF NOT EXISTS clocks (
    name         VARCHAR(190) NOT NULL PRIMARY KEY,
    seconds      BIGINT       NOT NULL,
    since        DATETIME(6)  NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- MariaDB alone knows IF NOT EXISTS here, and reads it out of the comment.
ALTER TABLE runs
    ADD COLUMN /*M! IF NOT EXISTS */ slot DATETIME(6) NULL,
    ADD COLUMN /*M! IF NOT EXISTS */ started_by VARCHAR(20);
