-- When each job was due, and what became of it. A slot is open until it has ended; whoever has the job's lease works on
-- its oldest open slot, so what a killed daemon leaves open is taken up by the next.

CREATE TABLE slots (
    job          VARCHAR(64)  NOT NULL,
    slot         TIMESTAMP    NOT NULL,
    -- schedule or catch_up.
    started_by   VARCHAR(20)  NOT NULL,
    claimed_at   TIMESTAMP    NOT NULL,
    -- How many runs of it were begun.
    attempts     INTEGER      NOT NULL,
    -- No run of it is begun earlier.
    not_before   TIMESTAMP    NOT NULL,
    -- Its last run.
    run_id       VARCHAR(40),
    ended_at     TIMESTAMP,
    -- The outcome of its last run; or skipped or missed, when there was none.
    outcome      VARCHAR(20),
    -- How many slots a skipped or missed row stands for.
    stands_for   BIGINT       NOT NULL,
    PRIMARY KEY (job, slot)
);
CREATE INDEX slots_open ON slots (ended_at);

-- A job that is new, or whose schedule was changed, is never due for the time before.
CREATE TABLE schedules (
    job          VARCHAR(64)  NOT NULL PRIMARY KEY,
    fingerprint  VARCHAR(64)  NOT NULL,
    since        TIMESTAMP    NOT NULL
);

-- Clocks that are in doubt: the host's ('host:NAME'), or a store's whose difference was accepted ('store:NAME').
CREATE TABLE clocks (
    name         VARCHAR(190) NOT NULL PRIMARY KEY,
    seconds      BIGINT       NOT NULL,
    since        TIMESTAMP    NOT NULL
);

ALTER TABLE runs ADD COLUMN slot TIMESTAMP;
ALTER TABLE runs ADD COLUMN started_by VARCHAR(20);
