-- Persons of a kind who were seen to be gone, by keyed hashes, and since when. A person who comes back is forgotten here.
CREATE TABLE gone_persons (
    person       VARCHAR(64)  NOT NULL,
    digest       VARCHAR(64)  NOT NULL,
    first_seen   TIMESTAMP NOT NULL,
    last_seen    TIMESTAMP NOT NULL,
    PRIMARY KEY (person, digest)
);

-- The key of these hashes, and the number of the last look at the persons' table. The same number stands in the table's
-- own database: a smaller one there means that it was restored.
CREATE TABLE gone_watches (
    person       VARCHAR(64)  NOT NULL PRIMARY KEY,
    secret       VARCHAR(64)  NOT NULL,
    looks        BIGINT       NOT NULL
);
