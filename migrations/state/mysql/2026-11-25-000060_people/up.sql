-- Erasures of persons, and what tells a restored database from one that was never away. No personal data: keyed hashes
-- that can be compared with a restored row, and cannot once their key is gone.

-- Keys of the hashes. A key goes with the last erasure that needs it.
CREATE TABLE IF NOT EXISTS erasure_keys (
    epoch        VARCHAR(16)  NOT NULL PRIMARY KEY,
    secret       VARCHAR(64)  NOT NULL,
    created_at   DATETIME(6) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS erasures (
    id           VARCHAR(40)  NOT NULL PRIMARY KEY,
    person_kind  VARCHAR(64)  NOT NULL,
    epoch        VARCHAR(16)  NOT NULL,
    range_from   DATETIME(6) NULL,
    range_to     DATETIME(6) NULL,
    begun_at     DATETIME(6) NOT NULL,
    -- NULL while it runs, and for ever when it was killed.
    ended_at     DATETIME(6) NULL,
    -- When no backup can hold the person any more; NULL where nobody said.
    expires_at   DATETIME(6) NULL,
    receipt      TEXT
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Whom: a row for the key and for each address.
CREATE TABLE IF NOT EXISTS erasure_marks (
    erasure_id   VARCHAR(40)  NOT NULL,
    kind         VARCHAR(64)  NOT NULL,
    digest       VARCHAR(64)  NOT NULL,
    PRIMARY KEY (erasure_id, kind, digest)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- The last batch that each store's ledger must know, by job. A ledger without it is older than this memory.
CREATE TABLE IF NOT EXISTS store_marks (
    store        VARCHAR(64)  NOT NULL,
    job          VARCHAR(64)  NOT NULL,
    batch        VARCHAR(64)  NOT NULL,
    PRIMARY KEY (store, job)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
