//! What stands in the tables of a database, read by its own client.
//!
//! retentiond's own tables (`retentiond_*`) are left out: a test compares what belongs to the operator.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::server::run_sql;

/// The rows of a table as text, sorted; NULL is `None`. Instants are in UTC. A value that is not text (a BLOB, a
/// BYTEA) is given as `\x` and hexadecimal digits.
pub fn dump(url: &str, table: &str) -> Vec<Vec<Option<String>>> {
    let mut rows = rows(url, table).lines().map(|line| line.split('\t').map(field).collect()).collect::<Vec<Vec<_>>>();
    rows.sort();
    rows
}

/// For each table that is not retentiond's own, how many rows it has and a digest over all their bytes.
///
/// PostgreSQL's tables outside `public` are named `schema.table`; a partitioned table appears as its partitions.
pub fn snapshot(url: &str) -> BTreeMap<String, (usize, String)> {
    tables(url)
        .into_iter()
        .map(|table| {
            let text = rows(url, &table);
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_unstable();
            let mut hash = Sha256::new();
            for line in &lines {
                hash.update(line.as_bytes());
                hash.update(b"\n");
            }
            let digest = hash.finalize().iter().fold(String::new(), |mut text, byte| {
                write!(text, "{byte:02x}").expect("a string takes everything");
                text
            });
            (table, (lines.len(), digest))
        })
        .collect()
}

/// The tables of a database that are not retentiond's own.
pub fn tables(url: &str) -> Vec<String> {
    let sql = if url.starts_with("sqlite:") {
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name;"
    } else if url.starts_with("mysql:") {
        "SELECT table_name FROM information_schema.tables \
         WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY 1;"
    } else {
        "SELECT CASE nspname WHEN 'public' THEN relname ELSE nspname || '.' || relname END \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE relkind = 'r' AND nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1;"
    };
    let own = |name: &str| name.rsplit('.').next().is_some_and(|name| name.starts_with("retentiond_"));
    run_sql(url, sql).lines().filter(|name| !own(name)).map(str::to_owned).collect()
}

/// One line a row and one field a column: `-` for NULL, else a letter for the class of the value and its bytes in
/// hexadecimal, so that no value can be taken for another one.
fn rows(url: &str, table: &str) -> String {
    let columns = columns(url, table);
    assert!(!columns.is_empty(), "{url} has no table `{table}`");
    let sqlite = url.starts_with("sqlite:");
    let mysql = url.starts_with("mysql:");
    let quote = if mysql { '`' } else { '"' };
    let quoted = |name: &str| format!("{quote}{}{quote}", name.replace(quote, &format!("{quote}{quote}")));
    let fields: Vec<String> = columns
        .iter()
        .map(|(name, binary)| {
            let column = quoted(name);
            let class = if *binary { 'b' } else { 't' };
            if sqlite {
                // The class is the value's own: 5 and '5' differ. quote() gives a real number with all its digits.
                format!(
                    "CASE typeof({column}) WHEN 'null' THEN '-' WHEN 'real' THEN 'r' || hex(quote({column})) \
                     ELSE substr(typeof({column}), 1, 1) || hex({column}) END"
                )
            } else if mysql {
                format!("IFNULL(CONCAT('{class}', HEX(CAST({column} AS BINARY))), '-')")
            } else if *binary {
                format!("coalesce('b' || encode({column}, 'hex'), '-')")
            } else {
                format!("coalesce('t' || encode(convert_to({column}::text, 'UTF8'), 'hex'), '-')")
            }
        })
        .collect();
    let name = match table.split_once('.') {
        Some((schema, table)) if !sqlite && !mysql => format!("{}.{}", quoted(schema), quoted(table)),
        _ => quoted(table),
    };
    run_sql(url, &format!("SELECT {} FROM {name};", fields.join(", ")))
}

/// The columns of a table in their order, and whether they hold bytes rather than text.
fn columns(url: &str, table: &str) -> Vec<(String, bool)> {
    let literal = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let sql = if url.starts_with("sqlite:") {
        format!("SELECT name, 0 FROM pragma_table_xinfo({}) WHERE hidden <> 1 ORDER BY cid;", literal(table))
    } else if url.starts_with("mysql:") {
        format!(
            "SELECT column_name, data_type LIKE '%blob' OR data_type LIKE '%binary' OR data_type = 'bit' \
             FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = {} \
             ORDER BY ordinal_position;",
            literal(table)
        )
    } else {
        let (schema, table) = table.split_once('.').unwrap_or(("public", table));
        format!(
            "SELECT attname, (atttypid = 'bytea'::regtype)::int FROM pg_attribute a \
             JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE nspname = {} AND relname = {} AND attnum > 0 AND NOT attisdropped ORDER BY attnum;",
            literal(schema),
            literal(table)
        )
    };
    let split = |line: &str| line.rsplit_once('\t').map(|(name, binary)| (name.to_owned(), binary == "1"));
    run_sql(url, &sql).lines().filter_map(split).collect()
}

fn field(text: &str) -> Option<String> {
    let (class, hex) = text.split_at_checked(1)?;
    if class == "-" {
        return None;
    }
    let bytes: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("the client prints hexadecimal digits"))
        .collect();
    match String::from_utf8(bytes) {
        Ok(text) if class != "b" => Some(text),
        _ => Some(format!("\\x{}", hex.to_lowercase())),
    }
}
