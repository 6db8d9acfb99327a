-- Rows of this database that a rollup with `purge = false` has counted and left where they are, each as long as it is there.
-- `source` is a hash of the table and of what its rows are told apart by.
CREATE TABLE IF NOT EXISTS retentiond_folds (
    id BIGINT NOT NULL PRIMARY KEY,
    job VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    source VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    UNIQUE (job, source)
) ENGINE = InnoDB;
CREATE TABLE IF NOT EXISTS retentiond_folded (
    fold BIGINT NOT NULL,
    row_key VARCHAR(400) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    PRIMARY KEY (fold, row_key)
) ENGINE = InnoDB;
