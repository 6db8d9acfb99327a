-- Rows of another database that are folded into summaries of this one and not purged there yet.
CREATE TABLE retentiond_sealed (
    job TEXT NOT NULL,
    batch TEXT NOT NULL,
    row_key TEXT NOT NULL,
    PRIMARY KEY (job, batch, row_key)
);
