-- Days of the audit log: how often what was changed by whom in which role, after the changes themselves are gone.
CREATE TABLE audit_log_daily (
    period TEXT NOT NULL,
    supplement INTEGER NOT NULL,
    actor_role TEXT,
    action TEXT,
    attribute TEXT,
    row_count INTEGER NOT NULL,
    first_at TEXT,
    last_at TEXT,
    actors INTEGER NOT NULL
);
CREATE INDEX audit_log_daily_period ON audit_log_daily (period);
