-- What retentiond keeps inside a database that it purges. It writes here in the same transaction that removes rows.
-- There is no personal data in these tables (counts, names of data entries, instants), but for held rows.

CREATE TABLE retentiond_schema (
    version      BIGINT       NOT NULL PRIMARY KEY
);

-- One row for each batch, entry and action. Their sum is what was removed.
CREATE TABLE retentiond_ledger (
    batch        VARCHAR(64)  NOT NULL PRIMARY KEY,
    run          VARCHAR(40)  NOT NULL,
    job          VARCHAR(64)  NOT NULL,
    data         VARCHAR(64)  NOT NULL,
    action       VARCHAR(20)  NOT NULL,
    rule         VARCHAR(64),
    row_count    BIGINT       NOT NULL,
    file_count   BIGINT       NOT NULL,
    cutoff       TIMESTAMP,
    written_at   TIMESTAMP  NOT NULL
);
CREATE INDEX retentiond_ledger_run ON retentiond_ledger (run);

-- Each batch locks its rows here in share mode: a legal hold, or a daemon that takes a job over, waits for it or stops it.
CREATE TABLE retentiond_gate (
    name         VARCHAR(100) NOT NULL PRIMARY KEY,
    token        BIGINT       NOT NULL
);
INSERT INTO retentiond_gate (name, token) VALUES ('hold', 0);

-- Rows under a legal hold by their keys, and with data '?' what a hold is about. That may name a person, as the tables
-- beside it do; it goes with the hold.
CREATE TABLE retentiond_held (
    data         VARCHAR(64)  NOT NULL,
    row_key      VARCHAR(400) COLLATE "C" NOT NULL,
    hold_case    VARCHAR(64)  NOT NULL,
    PRIMARY KEY (data, row_key, hold_case)
);

INSERT INTO retentiond_schema (version) VALUES (1);
