//! The queries of the MySQL and MariaDB reader. Every column is text.

/// Version and connected database.
pub(super) const SERVER: &str = "SELECT VERSION(), DATABASE()";

/// Tables and views of the connected database.
pub(super) const TABLES: &str = "
    SELECT t.TABLE_NAME, t.TABLE_TYPE, t.ENGINE, CAST(t.TABLE_ROWS AS CHAR),
           CAST((t.DATA_LENGTH + t.INDEX_LENGTH) DIV @@innodb_page_size AS CHAR), t.CREATE_OPTIONS, e.TRANSACTIONS
    FROM information_schema.TABLES t
    LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE
    WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE <> 'SEQUENCE'
    ORDER BY t.TABLE_NAME";

/// Columns, in order.
pub(super) const COLUMNS: &str = "
    SELECT TABLE_NAME, COLUMN_NAME, CAST(COLUMN_TYPE AS CHAR), DATA_TYPE, IS_NULLABLE,
           CAST(CHARACTER_MAXIMUM_LENGTH AS CHAR), EXTRA, CAST(COLUMN_DEFAULT AS CHAR), COLLATION_NAME,
           CAST(NUMERIC_PRECISION AS CHAR), CAST(NUMERIC_SCALE AS CHAR)
    FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = DATABASE()
    ORDER BY TABLE_NAME, ORDINAL_POSITION";

/// Index columns, in order; the three servers say differently whether the optimiser may use an index.
pub(super) const INDEXES: &str = "
    SELECT TABLE_NAME, INDEX_NAME, CAST(NON_UNIQUE AS CHAR), COLUMN_NAME, CAST(SUB_PART AS CHAR), INDEX_TYPE, ";
/// MariaDB from 10.6.
pub(super) const INDEX_IGNORED: &str = "IGNORED";
/// MySQL from 8.0.
pub(super) const INDEX_INVISIBLE: &str = "CASE IS_VISIBLE WHEN 'NO' THEN 'YES' ELSE 'NO' END";
/// Servers on which every index is used.
pub(super) const INDEX_USED: &str = "'NO'";
/// The end of the query for indexes.
pub(super) const INDEXES_FROM: &str = "
    FROM information_schema.STATISTICS
    WHERE TABLE_SCHEMA = DATABASE()
    ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX";

/// Columns of foreign keys, in order.
pub(super) const FOREIGN_KEYS: &str = "
    SELECT k.TABLE_NAME, k.CONSTRAINT_NAME, k.COLUMN_NAME, k.REFERENCED_TABLE_SCHEMA, k.REFERENCED_TABLE_NAME,
           k.REFERENCED_COLUMN_NAME, r.DELETE_RULE
    FROM information_schema.KEY_COLUMN_USAGE k
    JOIN information_schema.REFERENTIAL_CONSTRAINTS r
      ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME
     AND r.TABLE_NAME = k.TABLE_NAME
    WHERE k.TABLE_SCHEMA = DATABASE() AND r.CONSTRAINT_SCHEMA = DATABASE() AND k.REFERENCED_TABLE_NAME IS NOT NULL
    ORDER BY k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION";

/// Triggers, as far as the role may see them.
pub(super) const TRIGGERS: &str = "
    SELECT EVENT_OBJECT_TABLE, TRIGGER_NAME, ACTION_TIMING, EVENT_MANIPULATION, ACTION_STATEMENT
    FROM information_schema.TRIGGERS
    WHERE EVENT_OBJECT_SCHEMA = DATABASE()
    ORDER BY EVENT_OBJECT_TABLE, TRIGGER_NAME";

/// CHECK constraints of MariaDB.
pub(super) const CHECKS_MARIADB: &str = "
    SELECT TABLE_NAME, CONSTRAINT_NAME, CAST(CHECK_CLAUSE AS CHAR)
    FROM information_schema.CHECK_CONSTRAINTS
    WHERE CONSTRAINT_SCHEMA = DATABASE()
    ORDER BY TABLE_NAME, CONSTRAINT_NAME";
/// CHECK constraints of MySQL from 8.0.16.
pub(super) const CHECKS_MYSQL: &str = "
    SELECT t.TABLE_NAME, c.CONSTRAINT_NAME, CAST(c.CHECK_CLAUSE AS CHAR)
    FROM information_schema.CHECK_CONSTRAINTS c
    JOIN information_schema.TABLE_CONSTRAINTS t
      ON t.CONSTRAINT_SCHEMA = c.CONSTRAINT_SCHEMA AND t.CONSTRAINT_NAME = c.CONSTRAINT_NAME
    WHERE c.CONSTRAINT_SCHEMA = DATABASE() AND t.CONSTRAINT_TYPE = 'CHECK'
    ORDER BY t.TABLE_NAME, c.CONSTRAINT_NAME";

/// Partitions.
pub(super) const PARTITIONS: &str = "
    SELECT DISTINCT TABLE_NAME, PARTITION_NAME
    FROM information_schema.PARTITIONS
    WHERE TABLE_SCHEMA = DATABASE() AND PARTITION_NAME IS NOT NULL
    ORDER BY TABLE_NAME, PARTITION_NAME";

/// What was granted to the account and to its active roles.
pub(super) const GRANTS: &str = "SHOW GRANTS";
