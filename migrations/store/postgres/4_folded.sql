-- Rows of this database that a rollup with `purge = false` has counted and left where they are, each as long as it is there.
-- `source` is a hash of the table and of what its rows are told apart by.
CREATE TABLE retentiond_folds (
    id BIGINT NOT NULL PRIMARY KEY,
    job VARCHAR(64) NOT NULL,
    source VARCHAR(64) NOT NULL,
    UNIQUE (job, source)
);
CREATE TABLE retentiond_folded (
    fold BIGINT NOT NULL,
    row_key VARCHAR(400) COLLATE "C" NOT NULL,
    PRIMARY KEY (fold, row_key)
);
