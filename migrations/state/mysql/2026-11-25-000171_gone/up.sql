-- Persons of a kind who were seen to be gone, by keyed hashes, and since when. A person who comes back is forgotten here.
--
-- DDL is committed statement by statement here, so each may be repeated after a kill.

CREATE TABLE IF NOT EXISTS gone_persons (
    person       VARCHAR(64)  NOT NULL,
    digest       VARCHAR(64)  NOT NULL,
    first_seen   DATETIME(6) NOT NULL,
    last_seen    DATETIME(6) NOT NULL,
    PRIMARY KEY (person, digest)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- The key of these hashes, and the number of the last look at the persons' table. The same number stands in the table's
-- own database: a smaller one there means that it was restored.
CREATE TABLE IF NOT EXISTS gone_watches (
    person       VARCHAR(64)  NOT NULL PRIMARY KEY,
    secret       VARCHAR(64)  NOT NULL,
    looks        BIGINT       NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
