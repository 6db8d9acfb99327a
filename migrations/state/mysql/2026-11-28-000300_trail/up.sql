-- The trail: what retentiond itself did, hashed as in RFC 6962. Its one row is locked by whoever writes, so that several
-- daemons write one after the other.
--
-- DDL is committed statement by statement here, so each may be repeated after a kill.

CREATE TABLE IF NOT EXISTS trail_head (
    id             INTEGER      NOT NULL PRIMARY KEY,
    -- Records ever written; the next one bears this number.
    size           BIGINT       NOT NULL,
    -- The hash of the last leaf, which the next record names.
    last_hash      VARCHAR(64)  NOT NULL,
    -- Hashes of the perfect subtrees, largest first: the tree's root is made of them.
    frontier       MEDIUMTEXT   NOT NULL,
    -- What checkpoints call the trail; empty before the first record.
    origin         VARCHAR(200) NOT NULL,
    -- The first record of the segment that is written to, and its month.
    segment        BIGINT       NOT NULL,
    segment_month  VARCHAR(7)   NOT NULL,
    -- Records below this number were pruned.
    pruned         BIGINT       NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- One for each record, for ever: 47 bytes that tell nothing without the segment's key.
CREATE TABLE IF NOT EXISTS trail_leaves (
    seq            BIGINT       NOT NULL PRIMARY KEY,
    leaf           VARCHAR(94)  NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The records themselves, until they are pruned.
CREATE TABLE IF NOT EXISTS trail_records (
    seq            BIGINT       NOT NULL PRIMARY KEY,
    kind           VARCHAR(40)  NOT NULL,
    job            VARCHAR(64),
    run            VARCHAR(40),
    body           MEDIUMTEXT   NOT NULL,
    KEY trail_records_job (job, kind, seq),
    KEY trail_records_run (run, seq)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The key that hides the records of a segment behind their leaves; it goes with them.
CREATE TABLE IF NOT EXISTS trail_segments (
    first_seq      BIGINT       NOT NULL PRIMARY KEY,
    secret         VARCHAR(64)  NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Signed checkpoints.
CREATE TABLE IF NOT EXISTS trail_checkpoints (
    size           BIGINT       NOT NULL PRIMARY KEY,
    note           TEXT         NOT NULL,
    made_at        DATETIME(6)  NOT NULL,
    -- When auditors were written about it.
    mailed_at      DATETIME(6)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The public keys of those who sign.
CREATE TABLE IF NOT EXISTS trail_signers (
    public_key     VARCHAR(64)  NOT NULL PRIMARY KEY,
    since          DATETIME(6)  NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

INSERT IGNORE INTO trail_head VALUES (1, 0, '', '', '', -1, '', 0);
