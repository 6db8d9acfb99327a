-- Rows of another database that are folded into summaries of this one and not purged there yet. `source` is a hash of
-- that database and table.
CREATE TABLE retentiond_sealed (
    job VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    batch VARCHAR(80) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    row_key VARCHAR(400) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    source VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    PRIMARY KEY (job, batch, row_key)
) ENGINE = InnoDB;
