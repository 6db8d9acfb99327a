-- DDL is committed statement by statement here, so each may be repeated after a kill.
--
-- Who asked for whose personal data report, until when it is due, and what became of it. Whom it is about stands here as
-- keyed hashes only.
CREATE TABLE IF NOT EXISTS report_requests (
    id             VARCHAR(40)  NOT NULL PRIMARY KEY,
    job            VARCHAR(64)  NOT NULL,
    -- command, table or schedule.
    origin         VARCHAR(20)  NOT NULL,
    -- What it came from, as a hash: one row of a request table is one request.
    origin_key     VARCHAR(80),
    person_kind    VARCHAR(64)  NOT NULL,
    -- The key of the hashes, of this request alone.
    secret         VARCHAR(64)  NOT NULL,
    digests        MEDIUMTEXT         NOT NULL,
    range_from     DATETIME(6),
    range_to       DATETIME(6),
    asked_by       VARCHAR(128) NOT NULL,
    asked_at       DATETIME(6)    NOT NULL,
    due_at         DATETIME(6)    NOT NULL,
    extended_at    DATETIME(6),
    extended_by    VARCHAR(128),
    extended_why   MEDIUMTEXT,
    -- open, posted, answered or closed.
    stage          VARCHAR(20)  NOT NULL,
    problem        MEDIUMTEXT,
    -- Rows by category, as JSON.
    counts         MEDIUMTEXT,
    ended_at       DATETIME(6),
    ended_by       VARCHAR(128),
    ended_why      MEDIUMTEXT,
    UNIQUE KEY report_requests_origin (job, origin_key)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Finished mails that have not left, and what became of those that have.
CREATE TABLE IF NOT EXISTS outbox (
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
    posted_at      DATETIME(6)    NOT NULL,
    give_up_at     DATETIME(6)    NOT NULL,
    -- waiting, going, sent, uncertain, refused or given_up.
    state          VARCHAR(20)  NOT NULL,
    -- How far the last attempt came.
    phase          VARCHAR(20),
    attempt        INTEGER      NOT NULL,
    not_before     DATETIME(6)    NOT NULL,
    note           MEDIUMTEXT,
    ended_at       DATETIME(6),
    decided_by     VARCHAR(128)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Each phase of each attempt, written before the phase begins.
CREATE TABLE IF NOT EXISTS outbox_phases (
    letter         VARCHAR(60)  NOT NULL,
    attempt        INTEGER      NOT NULL,
    phase          VARCHAR(20)  NOT NULL,
    reached_at     DATETIME(6)    NOT NULL,
    PRIMARY KEY (letter, attempt, phase)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
