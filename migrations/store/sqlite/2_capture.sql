-- Changes to personal data, written by triggers (retentiond audit capture). Map this table as a data entry with a keep of
-- its own: new values are personal data too.
CREATE TABLE IF NOT EXISTS retentiond_changes (
    id INTEGER PRIMARY KEY,
    changed_at TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    data TEXT NOT NULL,
    row_key TEXT NOT NULL,
    attribute TEXT NOT NULL,
    new_value TEXT
);
CREATE INDEX IF NOT EXISTS retentiond_changes_at ON retentiond_changes (changed_at);
CREATE INDEX IF NOT EXISTS retentiond_changes_row ON retentiond_changes (data, row_key);
CREATE TABLE IF NOT EXISTS retentiond_captured (
    data TEXT NOT NULL PRIMARY KEY,
    fingerprint TEXT NOT NULL
);
-- Who writes, as the application says within its transaction: SQLite knows no users.
CREATE TABLE IF NOT EXISTS retentiond_actor (
    name TEXT NOT NULL
);
