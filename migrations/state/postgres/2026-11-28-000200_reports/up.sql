-- Who asked for whose personal data report, until when it is due, and what became of it. Whom it is about stands here as
-- keyed hashes only.
CREATE TABLE report_requests (
    id             VARCHAR(40)  NOT NULL PRIMARY KEY,
    job            VARCHAR(64)  NOT NULL,
    -- command, table or schedule.
    origin         VARCHAR(20)  NOT NULL,
    -- What it came from, as a hash: one row of a request table is one request.
    origin_key     VARCHAR(80),
    person_kind    VARCHAR(64)  NOT NULL,
    -- The key of the hashes, of this request alone.
    secret         VARCHAR(64)  NOT NULL,
    digests        TEXT         NOT NULL,
    range_from     TIMESTAMP,
    range_to       TIMESTAMP,
    asked_by       VARCHAR(128) NOT NULL,
    asked_at       TIMESTAMP    NOT NULL,
    due_at         TIMESTAMP    NOT NULL,
    extended_at    TIMESTAMP,
    extended_by    VARCHAR(128),
    extended_why   TEXT,
    -- open, posted, answered or closed.
    stage          VARCHAR(20)  NOT NULL,
    problem        TEXT,
    -- Rows by category, as JSON.
    counts         TEXT,
    ended_at       TIMESTAMP,
    ended_by       VARCHAR(128),
    ended_why      TEXT
);

CREATE UNIQUE INDEX report_requests_origin ON report_requests (job, origin_key);

-- Finished mails that have not left, and what became of those that have.
CREATE TABLE outbox (
    id             VARCHAR(60)  NOT NULL PRIMARY KEY,
    request        VARCHAR(40)  NOT NULL,
    sender         VARCHAR(254) NOT NULL,
    recipient      VARCHAR(254) NOT NULL,
    message_id     VARCHAR(254) NOT NULL,
    -- The file in the outbox folder of this host, and its SHA-256.
    host           VARCHAR(255) NOT NULL,
    spool          VARCHAR(80)  NOT NULL,
    digest         VARCHAR(64)  NOT NULL,
    bytes          BIGINT       NOT NULL,
    posted_at      TIMESTAMP    NOT NULL,
    give_up_at     TIMESTAMP    NOT NULL,
    -- waiting, going, sent, uncertain, refused or given_up.
    state          VARCHAR(20)  NOT NULL,
    -- How far the last attempt came.
    phase          VARCHAR(20),
    attempt        INTEGER      NOT NULL,
    not_before     TIMESTAMP    NOT NULL,
    note           TEXT,
    ended_at       TIMESTAMP,
    decided_by     VARCHAR(128)
);

-- Each phase of each attempt, written before the phase begins.
CREATE TABLE outbox_phases (
    letter         VARCHAR(60)  NOT NULL,
    attempt        INTEGER      NOT NULL,
    phase          VARCHAR(20)  NOT NULL,
    reached_at     TIMESTAMP    NOT NULL,
    PRIMARY KEY (letter, attempt, phase)
);
