-- The trail: what retentiond itself did, hashed as in RFC 6962. Its one row is locked by whoever writes, so that several
-- daemons write one after the other.

CREATE TABLE trail_head (
    id             INTEGER      NOT NULL PRIMARY KEY,
    -- Records ever written; the next one bears this number.
    size           BIGINT       NOT NULL,
    -- The hash of the last leaf, which the next record names.
    last_hash      VARCHAR(64)  NOT NULL,
    -- Hashes of the perfect subtrees, largest first: the tree's root is made of them.
    frontier       TEXT         NOT NULL,
    -- What checkpoints call the trail; empty before the first record.
    origin         VARCHAR(200) NOT NULL,
    -- The first record of the segment that is written to, and its month.
    segment        BIGINT       NOT NULL,
    segment_month  VARCHAR(7)   NOT NULL,
    -- Records below this number were pruned.
    pruned         BIGINT       NOT NULL
);

-- One for each record, for ever: 47 bytes that tell nothing without the segment's key.
CREATE TABLE trail_leaves (
    seq            BIGINT       NOT NULL PRIMARY KEY,
    leaf           VARCHAR(94)  NOT NULL
);

-- The records themselves, until they are pruned.
CREATE TABLE trail_records (
    seq            BIGINT       NOT NULL PRIMARY KEY,
    kind           VARCHAR(40)  NOT NULL,
    job            VARCHAR(64),
    run            VARCHAR(40),
    body           TEXT         NOT NULL
);

CREATE INDEX trail_records_job ON trail_records (job, kind, seq);
CREATE INDEX trail_records_run ON trail_records (run, seq);

-- The key that hides the records of a segment behind their leaves; it goes with them.
CREATE TABLE trail_segments (
    first_seq      BIGINT       NOT NULL PRIMARY KEY,
    secret         VARCHAR(64)  NOT NULL
);

-- Signed checkpoints.
CREATE TABLE trail_checkpoints (
    size           BIGINT       NOT NULL PRIMARY KEY,
    note           TEXT         NOT NULL,
    made_at        TIMESTAMP    NOT NULL,
    -- When auditors were written about it.
    mailed_at      TIMESTAMP
);

-- The public keys of those who sign.
CREATE TABLE trail_signers (
    public_key     VARCHAR(64)  NOT NULL PRIMARY KEY,
    since          TIMESTAMP    NOT NULL
);

INSERT INTO trail_head VALUES (1, 0, '', '', '', -1, '', 0);
