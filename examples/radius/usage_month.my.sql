-- The operator's own table of usage by month: MariaDB. The binary collation keeps subscribers apart whom another one takes
-- for the same.
CREATE TABLE usage_month (
    username VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    month CHAR(7),
    sessions BIGINT,
    seconds BIGINT,
    octets DECIMAL(20,0),
    PRIMARY KEY (username, month)
);
