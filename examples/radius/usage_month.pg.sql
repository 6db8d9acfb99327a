-- The operator's own table of usage by month: PostgreSQL.
CREATE TABLE usage_month (
    username TEXT,
    month TEXT,
    sessions BIGINT,
    seconds BIGINT,
    octets NUMERIC,
    PRIMARY KEY (username, month)
);
