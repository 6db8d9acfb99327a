-- What is wrong with which job, and when somebody was last told.
CREATE TABLE IF NOT EXISTS incidents (
    -- A job; or ':clock', ':file' for what is wrong beside the jobs.
    job            VARCHAR(64)  NOT NULL PRIMARY KEY,
    -- failed, braked, missed or wrong.
    kind           VARCHAR(20)  NOT NULL,
    detail         MEDIUMTEXT   NOT NULL,
    since          DATETIME(6)  NOT NULL,
    told_at        DATETIME(6)  NOT NULL,
    times          INTEGER      NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Letters that have not left yet.
CREATE TABLE IF NOT EXISTS letters (
    id             VARCHAR(40)  NOT NULL PRIMARY KEY,
    letter         MEDIUMTEXT   NOT NULL,
    written_at     DATETIME(6)  NOT NULL,
    attempts       INTEGER      NOT NULL,
    not_before     DATETIME(6)  NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
