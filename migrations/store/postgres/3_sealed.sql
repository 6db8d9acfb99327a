-- Rows of another database that are folded into summaries of this one and not purged there yet. `source` is a hash of
-- that database and table.
CREATE TABLE retentiond_sealed (
    job VARCHAR(64) NOT NULL,
    batch VARCHAR(80) NOT NULL,
    row_key VARCHAR(400) NOT NULL,
    source VARCHAR(64) NOT NULL,
    PRIMARY KEY (job, batch, row_key)
);
