-- Changes to personal data, written by triggers (retentiond audit capture). Map this table as a data entry with a keep of
-- its own: new values are personal data too. person: the key of the person whom the changed row names, if any.
CREATE TABLE IF NOT EXISTS retentiond_changes (
    id INTEGER PRIMARY KEY,
    changed_at TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    data TEXT NOT NULL,
    row_key TEXT NOT NULL,
    person TEXT,
    attribute TEXT NOT NULL,
    new_value TEXT
);
CREATE INDEX IF NOT EXISTS retentiond_changes_at ON retentiond_changes (changed_at);
CREATE INDEX IF NOT EXISTS retentiond_changes_row ON retentiond_changes (row_key, data);
CREATE INDEX IF NOT EXISTS retentiond_changes_person ON retentiond_changes (person) WHERE person IS NOT NULL;
CREATE TABLE IF NOT EXISTS retentiond_captured (
    data TEXT NOT NULL PRIMARY KEY,
    fingerprint TEXT NOT NULL
);
-- Who writes, as the application says within its transaction: SQLite knows no users. While retentiond removes rows it says
-- retentiond:removes here, and what it removes is in its ledger instead.
CREATE TABLE IF NOT EXISTS retentiond_actor (
    name TEXT NOT NULL
);
