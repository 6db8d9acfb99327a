-- What is wrong with which job, and when somebody was last told.
CREATE TABLE incidents (
    -- A job; or ':clock', ':file' for what is wrong beside the jobs.
    job            VARCHAR(64)  NOT NULL PRIMARY KEY,
    -- failed, braked, missed or wrong.
    kind           VARCHAR(20)  NOT NULL,
    detail         TEXT         NOT NULL,
    since          TIMESTAMP    NOT NULL,
    told_at        TIMESTAMP    NOT NULL,
    times          INTEGER      NOT NULL
);

-- Letters that have not left yet.
CREATE TABLE letters (
    id             VARCHAR(40)  NOT NULL PRIMARY KEY,
    letter         TEXT         NOT NULL,
    written_at     TIMESTAMP    NOT NULL,
    attempts       INTEGER      NOT NULL,
    not_before     TIMESTAMP    NOT NULL
);
