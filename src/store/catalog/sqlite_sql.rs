//! The queries of the SQLite reader. Every column is text.

/// The library's version.
pub(super) const SERVER: &str = "SELECT sqlite_version()";

/// Tables and views with the text that made them.
pub(super) const TABLES: &str = "
    SELECT l.name, l.type, CAST(l.wr AS TEXT), s.sql
    FROM pragma_table_list l
    LEFT JOIN main.sqlite_schema s ON s.name = l.name AND s.type IN ('table', 'view')
    WHERE l.schema = 'main' AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
    ORDER BY l.name";

/// Columns of all tables of one type, which is bound.
pub(super) const COLUMNS: &str = "
    SELECT l.name, x.name, x.type, CAST(x.\"notnull\" AS TEXT), x.dflt_value, CAST(x.pk AS TEXT),
           CAST(x.hidden AS TEXT)
    FROM pragma_table_list l
    JOIN pragma_table_xinfo(l.name, l.schema) x
    WHERE l.schema = 'main' AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND l.type = ";
/// The end of the query for columns.
pub(super) const COLUMNS_ORDER: &str = " ORDER BY l.name, x.cid";

/// Index columns, in order.
pub(super) const INDEXES: &str = "
    SELECT l.name, i.name, CAST(i.\"unique\" AS TEXT), CAST(i.partial AS TEXT), CAST(x.cid AS TEXT), x.name, x.coll
    FROM pragma_table_list l
    JOIN pragma_index_list(l.name, l.schema) i
    JOIN pragma_index_xinfo(i.name, l.schema) x
    WHERE l.schema = 'main' AND l.type IN ('table', 'shadow') AND x.key = 1
    ORDER BY l.name, i.name, x.seqno";

/// Columns of foreign keys, in order; the keys themselves count backwards.
pub(super) const FOREIGN_KEYS: &str = "
    SELECT l.name, CAST(f.id AS TEXT), f.\"table\", f.\"from\", f.\"to\", f.on_delete
    FROM pragma_table_list l
    JOIN pragma_foreign_key_list(l.name, l.schema) f
    WHERE l.schema = 'main' AND l.type = 'table'
    ORDER BY l.name, f.id DESC, f.seq";

/// Triggers with the text that made them.
pub(super) const TRIGGERS: &str =
    "SELECT tbl_name, name, sql FROM main.sqlite_schema WHERE type = 'trigger' ORDER BY tbl_name, name";

/// Whether `ANALYZE` has left its counts.
pub(super) const ANALYSED: &str = "SELECT name FROM main.sqlite_schema WHERE name = 'sqlite_stat1'";

/// Counts of `ANALYZE`: the first number is the number of rows.
pub(super) const COUNTS: &str = "SELECT tbl, stat FROM main.sqlite_stat1";
