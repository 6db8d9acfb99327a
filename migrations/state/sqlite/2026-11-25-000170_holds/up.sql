-- Legal holds: who placed one, why, until when, and who released it. Whom or what it is about stands in the purged
-- databases beside the rows that it holds, not here.
CREATE TABLE holds (
    id           VARCHAR(40)  NOT NULL PRIMARY KEY,
    hold_case    VARCHAR(64)  NOT NULL,
    -- user, customer or data.
    what         VARCHAR(64)  NOT NULL,
    -- The entry, for a hold on rows of one entry.
    data         VARCHAR(64),
    why          TEXT         NOT NULL,
    placed_at    TIMESTAMP NOT NULL,
    placed_by    VARCHAR(64)  NOT NULL,
    ends_at      TIMESTAMP,
    released_at  TIMESTAMP,
    released_by  VARCHAR(64),
    approved_by  VARCHAR(64)
);
