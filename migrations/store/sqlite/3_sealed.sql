-- Rows of another database that are folded into summaries of this one and not purged there yet. `source` is a hash of
-- that database and table.
CREATE TABLE retentiond_sealed (
    job TEXT NOT NULL,
    batch TEXT NOT NULL,
    row_key TEXT NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (job, batch, row_key)
);
