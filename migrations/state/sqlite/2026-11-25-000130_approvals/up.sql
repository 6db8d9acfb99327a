-- Plans that brakes stopped, so that exactly such a one can be approved.
CREATE TABLE plans (
    job            VARCHAR(64)  NOT NULL,
    plan           VARCHAR(40)  NOT NULL,
    policy_hash    VARCHAR(64)  NOT NULL,
    schema_hash    VARCHAR(64)  NOT NULL,
    -- The instant that its cutoffs count from.
    planned_at     TIMESTAMP    NOT NULL,
    -- Its steps with their counts, and what stopped it, as JSON.
    steps          TEXT         NOT NULL,
    brakes         TEXT         NOT NULL,
    approved_at    TIMESTAMP,
    approved_until TIMESTAMP,
    -- The run that it let pass; then the approval is used up.
    used_by        VARCHAR(40),
    PRIMARY KEY (job, plan)
);

-- The policy that each job's last run followed past its brakes: what a later one is compared with.
CREATE TABLE policies (
    job            VARCHAR(64)  NOT NULL PRIMARY KEY,
    policy         TEXT         NOT NULL,
    since          TIMESTAMP    NOT NULL
);
