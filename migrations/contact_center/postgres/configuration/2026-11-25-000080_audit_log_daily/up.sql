-- Days of the audit log: how often what was changed by whom in which role, after the changes themselves are gone.
CREATE TABLE audit_log_daily (
    period VARCHAR(10) NOT NULL,
    supplement BIGINT NOT NULL,
    actor_role VARCHAR(40),
    action VARCHAR(20),
    attribute VARCHAR(80),
    row_count BIGINT NOT NULL,
    first_at TIMESTAMPTZ,
    last_at TIMESTAMPTZ,
    actors BIGINT NOT NULL
);
CREATE INDEX audit_log_daily_period ON audit_log_daily (period);
