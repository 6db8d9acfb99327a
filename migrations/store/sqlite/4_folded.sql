-- Rows of this database that a rollup with `purge = false` has counted and left where they are, each as long as it is there.
-- `source` is a hash of the table and of what its rows are told apart by.
CREATE TABLE retentiond_folds (
    id INTEGER NOT NULL PRIMARY KEY,
    job TEXT NOT NULL,
    source TEXT NOT NULL,
    UNIQUE (job, source)
);
CREATE TABLE retentiond_folded (
    fold INTEGER NOT NULL,
    row_key TEXT NOT NULL,
    PRIMARY KEY (fold, row_key)
) WITHOUT ROWID;
