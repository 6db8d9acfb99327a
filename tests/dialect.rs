//! Values of every type are read as text and bound back: exactly their row is found again, with the index.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "dialect/streamed.rs"]
mod streamed;
mod support;

use diesel::Connection;
use diesel::connection::SimpleConnection;
use retentiond::store::catalog::{Catalog, Column, Lookup, Table};
use retentiond::store::dialect::{bind_as, bind_beside, read_as_text, read_for_stream};
use retentiond::store::{
    Access, Backend, Bind, Conn, Database, DatabaseSpec, ErrorKind, Form, Stmt, StoreError, StoreUrl, Streamed,
};

type Mysql = diesel_async::async_connection_wrapper::AsyncConnectionWrapper<diesel_async::AsyncMysqlConnection>;

fn database(url: &str) -> Database {
    Database::open(DatabaseSpec::new("operative", StoreUrl::parse(url).unwrap())).unwrap()
}

fn load(url: &str, statements: &[String]) {
    let all = statements.join(";\n");
    if let Some(path) = url.strip_prefix("sqlite:") {
        diesel::SqliteConnection::establish(path).unwrap().batch_execute(&all).unwrap();
    } else if url.starts_with("mysql") {
        let mut conn = Mysql::establish(url).unwrap();
        conn.batch_execute("SET NAMES utf8mb4, sql_mode = 'STRICT_TRANS_TABLES', time_zone = '+00:00'").unwrap();
        for sql in statements {
            conn.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
    } else {
        diesel::PgConnection::establish(url).unwrap().batch_execute(&all).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// A type and values of it as SQL; each pair of values differs.
type Case = (&'static str, &'static [&'static str]);

fn scripts(cases: &[Case], tail: &str) -> Vec<String> {
    let mut all = vec![];
    for (number, (declared, values)) in cases.iter().enumerate() {
        all.push(format!("CREATE TABLE k{number} (id int, c {declared}, pad char(9)){tail}"));
        all.push(format!("CREATE INDEX i{number} ON k{number} (c)"));
        for (id, value) in values.iter().enumerate() {
            all.push(format!("INSERT INTO k{number} VALUES ({id}, {value}, 'x')"));
        }
    }
    all
}

fn table<'a>(catalog: &'a Catalog, name: &str) -> (&'a Table, &'a Column) {
    let Lookup::Found(table) = catalog.find(name) else { panic!("no {name}") };
    (table, table.column("c").unwrap())
}

fn texts(conn: &mut Conn, table: &Table, column: &Column) -> Vec<(String, Option<String>)> {
    let backend = conn.backend();
    let mut stmt =
        Stmt::new(if backend == Backend::Mysql { "SELECT CAST(id AS CHAR), " } else { "SELECT CAST(id AS TEXT), " });
    read_as_text(&mut stmt, column, backend);
    stmt.sql(" FROM ").name(&table.name).sql(" ORDER BY id");
    let rows = conn.rows(&stmt).unwrap_or_else(|error| panic!("{}: {error}", column.declared));
    rows.iter().map(|row| (row.plain(0).unwrap().to_owned(), row.plain(1).map(str::to_owned))).collect()
}

/// The same, streamed.
fn streamed(conn: &mut Conn, table: &Table, column: &Column) -> Vec<(String, Option<String>)> {
    let backend = conn.backend();
    let (mut stmt, mut forms) = (Stmt::new("SELECT "), Vec::new());
    let id = table.column("id").unwrap();
    for (between, column) in [("", id), (", ", column)] {
        let mut name = Stmt::default();
        name.name(&column.name);
        forms.push(read_for_stream(stmt.sql(between), column, backend, &name));
    }
    stmt.sql(" FROM ").name(&table.name).sql(" ORDER BY id");
    let mut rows = Vec::new();
    let read = conn.transaction(Access::ReadOnly, |conn| {
        conn.each_row(&Streamed { stmt, forms }, |row| {
            let text = |place: usize| row.get(place).map(|value| (*value.expose()).to_owned());
            assert_eq!((row.is_set(1), row.is_set(2)), (text(1).is_some(), false));
            rows.push((text(0).unwrap(), text(1)));
            Ok::<(), StoreError>(())
        })
    });
    read.unwrap_or_else(|error| panic!("{}: {error}", column.declared));
    rows
}

type BindValue = fn(&mut Stmt, &Column, Backend, &str);

/// Both ways of binding a value that is compared with the column itself.
const BINDINGS: [BindValue; 2] = [bind_as, |stmt, column, backend, value| {
    bind_beside(stmt, column, backend, value, false);
}];

fn equality(
    (table, column): (&Table, &Column),
    backend: Backend,
    before: &'static str,
    (value, bind): (&str, BindValue),
) -> Stmt {
    let mut stmt = Stmt::new(before);
    stmt.sql(if backend == Backend::Mysql { "SELECT CAST(id AS CHAR) FROM " } else { "SELECT CAST(id AS TEXT) FROM " });
    stmt.name(&table.name).sql(" WHERE ").name(&column.name).sql(" = ");
    bind(&mut stmt, column, backend, value);
    stmt
}

/// Checks all tables of a database; `plan` says whether the statement uses the index.
fn round_trip(url: &str, cases: &[Case], plan: impl Fn(&mut Conn, &Table, &Column, (&str, BindValue), usize)) {
    let database = database(url);
    let mut conn = database.conn().unwrap();
    let backend = conn.backend();
    let catalog = Catalog::read(&mut conn).unwrap();
    for (number, (declared, values)) in cases.iter().enumerate() {
        let (table, column) = table(&catalog, &format!("k{number}"));
        let read = texts(&mut conn, table, column);
        assert_eq!(read.len(), values.len());
        assert_eq!(streamed(&mut conn, table, column), read, "{declared}");
        for (id, text) in read {
            let Some(text) = text else { panic!("{declared} {id} is NULL") };
            for bind in BINDINGS {
                let stmt = equality((table, column), backend, "", (&text, bind));
                let rows = conn.rows(&stmt).unwrap_or_else(|error| panic!("{declared} {text:?} {error}"));
                let found: Vec<&str> = rows.iter().map(|row| row.plain(0).unwrap()).collect();
                assert_eq!(found, [id.as_str()], "{declared} {text:?} {:?} {}", column.class, stmt.to_text(backend));
                plan(&mut conn, table, column, (&text, bind), number);
            }
        }
    }
}

const POSTGRES: &[Case] = &[
    ("smallint", &["-32768", "0", "32767"]),
    ("int", &["-2147483648", "7"]),
    ("bigint", &["-9223372036854775808", "9223372036854775807", "9223372036854775806"]),
    ("numeric", &["0.1", "123456789012345678901234567890.123456789", "'NaN'", "-1"]),
    ("numeric(10,2)", &["0.10", "99999999.99"]),
    ("real", &["0.1", "16777216", "3.4028235e38", "'-Infinity'"]),
    ("double precision", &["0.1", "0.30000000000000004", "1e-300", "'NaN'"]),
    ("boolean", &["true", "false"]),
    ("text", &["''", "' a '", "'a'", "'A'", "'é'", "E'x''y\\\\z\\n'"]),
    ("varchar(5)", &["'abcde'", "'abcd'"]),
    ("char(5)", &["'ab'", "'abc'"]),
    ("text COLLATE \"C\"", &["'b'", "'B'"]),
    ("bytea", &["'\\x'", "'\\x00ff'", "'\\x00fe'"]),
    ("uuid", &["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "'b0eebc999c0b4ef8bb6d6bb9bd380a11'"]),
    ("date", &["'2024-02-29'", "'infinity'", "'0044-03-15 BC'"]),
    ("timestamp", &["'2024-02-29 23:59:59.999999'", "'2024-02-29 23:59:59.999998'", "'-infinity'"]),
    (
        "timestamp",
        &["'0044-03-15 12:00:00 BC'", "'0001-01-01 00:00'", "'12026-03-01 00:00:00.5'", "'294276-12-31 23:59'"],
    ),
    ("timestamptz", &["'4713-01-01 00:00:00+00 BC'", "'0001-12-31 23:59:59.5 BC'", "'1999-12-31 23:59:59.000001+00'"]),
    ("counted", &["7", "-8"]),
    ("timestamp(0)", &["'2024-02-29 23:59:59'"]),
    ("timestamptz", &["'2024-10-27 03:30:00.000001+03'", "'2024-10-27 03:30:00.000001+02'", "'infinity'"]),
    ("time", &["'23:59:59.999999'"]),
    ("timetz", &["'23:59:59.999999+02'", "'22:59:59.999999+01'"]),
    ("interval", &["'1 month'", "'29 days 23:00:00.5'", "'-1 year'"]),
    ("jsonb", &["'{\"a\": [1, null]}'", "'1.0'"]),
    ("inet", &["'10.0.0.1'", "'10.0.0.1/8'", "'10.0.0.0/8'", "'::1'", "'2001:db8::/32'"]),
    ("cidr", &["'10.0.0.0/8'", "'10.0.0.0/9'", "'2001:db8::/32'"]),
    ("macaddr", &["'08:00:2b:01:02:03'"]),
    ("mood", &["'sad'", "'it''s ok'"]),
    ("short", &["'abc'", "'abd'"]),
    ("int[]", &["'{1,2}'", "'{1,NULL}'"]),
    ("oid", &["4000000000"]),
    ("money", &["12.34"]),
    ("bit(5)", &["B'10101'"]),
    ("bit varying", &["B'10101'", "B'1'"]),
    ("name", &["'n'"]),
    ("\"char\"", &["'c'"]),
    ("int4range", &["'[1,5)'"]),
    ("\"odd.s\".\"Odd Type\"", &["'x'"]),
];

#[test]
fn every_type_of_postgresql_comes_back() {
    let url = support::postgres().fresh_database();
    let mut all: Vec<String> = [
        "CREATE TYPE mood AS ENUM ('sad', 'it''s ok')",
        "CREATE SCHEMA \"odd.s\"",
        "CREATE TYPE \"odd.s\".\"Odd Type\" AS ENUM ('x')",
        "CREATE DOMAIN short AS varchar(20) CHECK (VALUE <> 'q')",
        "CREATE DOMAIN counted AS bigint",
    ]
    .map(str::to_owned)
    .to_vec();
    all.extend(scripts(POSTGRES, ""));
    load(&url, &all);
    let seen = |conn: &mut Conn, table: &Table, column: &Column, text: (&str, BindValue), number: usize| {
        conn.execute(&Stmt::new("SET enable_seqscan = off")).unwrap();
        let rows = conn.rows(&equality((table, column), Backend::Postgres, "EXPLAIN ", text)).unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.plain(0).unwrap().to_owned()).collect();
        let plan = plan.join("\n");
        assert!(plan.contains(&format!("i{number}")) && plan.contains("Index Cond"), "{} {plan}", column.declared);
    };
    round_trip(&url, POSTGRES, seen);
}

const MARIADB: &[Case] = &[
    ("tinyint(1)", &["0", "1", "2", "-1"]),
    ("int", &["-2147483648", "7"]),
    ("int(9) unsigned zerofill", &["7", "4294967295"]),
    ("bigint", &["-9223372036854775808", "9223372036854775807", "9223372036854775806"]),
    ("bigint unsigned", &["18446744073709551615", "18446744073709551614", "9223372036854775807", "0"]),
    ("year", &["2024", "1970"]),
    ("bit(1)", &["b'0'", "b'1'"]),
    ("bit(64)", &["b'1111111111111111111111111111111111111111111111111111111111111111'", "b'10'"]),
    ("decimal(12,3)", &["0.100", "999999999.999"]),
    ("decimal(60,10)", &["12345678901234567890123456789012345678901234567890.0123456789"]),
    ("decimal(38,30)", &["12345678.012345678901234567890123456789"]),
    ("float", &["0.1", "16777216", "3.40282e38"]),
    ("double", &["0.1", "0.30000000000000004", "1e-300"]),
    ("char(5)", &["'ab'", "'abc'"]),
    ("varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", &["''", "' a'", "'a'", "'A'", "'é'", "'x''y\\\\z\\n'"]),
    ("varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", &["'José'", "'b'"]),
    ("varchar(20) CHARACTER SET latin1", &["'José'", "'b'"]),
    ("varchar(20) CHARACTER SET utf8mb3", &["'José'", "'b'"]),
    ("varchar(20) CHARACTER SET ascii", &["'jose'"]),
    ("enum('open','it''s')", &["'open'", "'it''s'"]),
    ("set('a','b')", &["'a'", "'a,b'", "''"]),
    ("binary(16)", &["x'00112233445566778899aabbccddee00'", "x'00112233445566778899aabbccddeeff'"]),
    ("varbinary(9)", &["x''", "x'00'", "x'0020'"]),
    ("date", &["'2024-02-29'", "'0000-00-00'"]),
    ("datetime", &["'2024-02-29 23:59:59'", "'0000-00-00'"]),
    ("datetime(6)", &["'2024-02-29 23:59:59.999999'", "'2024-02-29 23:59:59.999998'"]),
    ("timestamp(3) NULL", &["'2024-03-31 02:30:00.123'", "'2024-03-31 02:30:00.124'"]),
    ("time(3)", &["'-838:59:59.000'", "'23:59:59.123'"]),
    ("uuid", &["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"]),
    ("inet6", &["'::1'", "'2001:db8::1'", "'::ffff:10.0.0.1'"]),
    ("inet4", &["'10.0.0.1'"]),
];

#[test]
fn every_type_of_mariadb_comes_back() {
    let url = support::mariadb().fresh_database();
    let mut all = scripts(MARIADB, " ENGINE=InnoDB");
    // Enough other rows that the optimiser would not rather read the whole table.
    for number in 0..MARIADB.len() {
        all.push(format!("INSERT INTO k{number} SELECT seq, NULL, 'x' FROM seq_1000_to_1200"));
        all.push(format!("ANALYZE TABLE k{number}"));
        all.push(format!("DELETE FROM k{number} WHERE id >= 1000"));
    }
    load(&url, &all);
    let seen = |conn: &mut Conn, table: &Table, column: &Column, text: (&str, BindValue), number: usize| {
        let rows = conn.rows(&equality((table, column), Backend::Mysql, "EXPLAIN ", text)).unwrap();
        let cells: Vec<String> = (0..10).map(|cell| rows[0].plain(cell).unwrap_or("-").to_owned()).collect();
        let impossible = cells[9].contains("Impossible");
        assert!(
            cells[5] == format!("i{number}") && matches!(cells[3].as_str(), "ref" | "const" | "range") && !impossible,
            "{} {:?} {cells:?}",
            column.declared,
            text.0
        );
    };
    round_trip(&url, MARIADB, seen);
}

const SQLITE: &[Case] = &[
    ("INTEGER", &["-9223372036854775808", "9223372036854775807", "1.5", "'word'", "x'00'"]),
    ("BIGINT", &["1", "2"]),
    ("TEXT", &["''", "' a'", "'a'", "'A'", "'é'", "'1'", "'01'", "'x''00'''", "'1.50'"]),
    ("VARCHAR(9) COLLATE NOCASE", &["'jose'", "'josé'"]),
    ("BLOB", &["x''", "x'00ff'", "x'00fe'"]),
    ("REAL", &["0.1", "0.30000000000000004", "1e-300", "1e999", "9007199254740993.0", "-1e15"]),
    ("DECIMAL(10,2)", &["0.1", "12345678901234.56", "7"]),
    ("BOOLEAN", &["0", "1", "'true'"]),
    ("DATE", &["'2024-02-29'", "'2024'", "2460000.5", "1709251199"]),
    ("DATETIME", &["'2024-02-29 23:59:59'", "'2024-02-29T23:59:59.123Z'", "1709251199", "1709251199123"]),
    ("TIMESTAMP WITH TIME ZONE", &["'2024-02-29 23:59:59+02:00'"]),
    ("TIME", &["'23:59:59'"]),
    ("JSON", &["'{\"a\": 1}'", "'1'"]),
    (
        "UUID",
        &[
            "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
            "x'a0eebc999c0b4ef8bb6d6bb9bd380a11'",
            "'a0eebc999c0b4ef8bb6d6bb9bd380a11'",
            "'10000000000000000000000000000e11'",
        ],
    ),
    ("", &["5", "'word'", "1.5", "x'00'", "0.30000000000000004", "''", "'1e'", "'Inf.'"]),
];

#[test]
fn every_kind_of_sqlite_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("app.db").display());
    load(&url, &scripts(SQLITE, ""));
    let seen = |conn: &mut Conn, table: &Table, column: &Column, text: (&str, BindValue), number: usize| {
        let stmt = equality((table, column), Backend::Sqlite, "EXPLAIN QUERY PLAN ", text);
        // The answer's fourth column says it; the others are numbers, which are read as text all the same.
        let rows = conn.rows(&stmt).unwrap();
        let plan = rows[0].plain(3).unwrap_or_default().to_owned();
        assert!(plan.contains(&format!("USING INDEX i{number} (c=?)")), "{} {plan}", column.declared);
    };
    round_trip(&url, SQLITE, seen);
}
