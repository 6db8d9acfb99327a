-- Plans that brakes stopped, so that exactly such a one can be approved.
CREATE TABLE IF NOT EXISTS plans (
    job            VARCHAR(64)  NOT NULL,
    plan           VARCHAR(40)  NOT NULL,
    policy_hash    VARCHAR(64)  NOT NULL,
    schema_hash    VARCHAR(64)  NOT NULL,
    -- The instant that its cutoffs count from.
    planned_at     DATETIME(6)  NOT NULL,
    -- Its steps with their counts, and what stopped it, as JSON.
    steps          MEDIUMTEXT   NOT NULL,
    brakes         MEDIUMTEXT   NOT NULL,
    approved_at    DATETIME(6) NULL,
    approved_until DATETIME(6) NULL,
    -- The run that it let pass; then the approval is used up.
    used_by        VARCHAR(40),
    PRIMARY KEY (job, plan)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- The policy that each job's last run followed past its brakes: what a later one is compared with.
CREATE TABLE IF NOT EXISTS policies (
    job            VARCHAR(64)  NOT NULL PRIMARY KEY,
    policy         MEDIUMTEXT   NOT NULL,
    since          DATETIME(6)  NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
