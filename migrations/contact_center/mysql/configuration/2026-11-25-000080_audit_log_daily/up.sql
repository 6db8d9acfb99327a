-- Days of the audit log: how often what was changed by whom in which role, after the changes themselves are gone.
CREATE TABLE audit_log_daily (
    period VARCHAR(10) NOT NULL,
    supplement BIGINT NOT NULL,
    actor_role VARCHAR(40) NULL,
    action VARCHAR(20) NULL,
    attribute VARCHAR(80) NULL,
    row_count BIGINT NOT NULL,
    first_at DATETIME(6) NULL,
    last_at DATETIME(6) NULL,
    actors BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX audit_log_daily_period ON audit_log_daily (period);
