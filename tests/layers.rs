//! The rules of the house, held against the text of `src/`: who may import whom, and what stands in one place alone.
//!
//! A plain scan is enough: comments, string literals and test modules are taken out first, so that a rule sees code
//! only. Each rule is a function from sources to violations; `each_rule_catches_what_it_is_for` plants one for each.
#![expect(clippy::unwrap_used, reason = "what cannot be read fails the test")]

#[path = "support/source.rs"]
mod source;

use std::path::Path;

use source::Source;

/// The layers, first to last. A module imports only modules of earlier layers; modules of one layer are siblings and
/// never import each other.
const LAYERS: &[&[&str]] = &[
    &["names", "clock", "redact", "stop"],
    &["config"],
    &["store", "mail", "files", "schedule"],
    &["trail", "holds", "outbox", "archive"],
    &["graph", "demo"],
    &["plan"],
    &["removal"],
    &["report"],
    &["jobs"],
    &["control"],
    &["daemon"],
    &["cli"],
    &["main", "bin"],
];

/// The demo's world is nothing that a purge may rest on.
const WHO_MAY_IMPORT_DEMO: &[&str] = &["cli", "main"];

/// Where, outside `daemon`, asynchronous code may stand, and why.
const ASYNC_ALLOWED: &[(&str, &str)] =
    &[("src/store/connect.rs", "MySQL's driver is asynchronous: it is opened here, then wrapped to be synchronous")];

const KINDS: &[&str] = &["retention_purge", "directory_cleanup", "audit_rollup", "personal_data_report"];
const CLOCKS: &[&str] = &["Utc::now", "Local::now", "SystemTime::now"];
const REMOVALS: &[&str] = &["remove_file", "remove_dir", "remove_dir_all", "unlinkat", "fs::unlink", "libc::unlink"];
const SQL_STARTS: &[&str] =
    &["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "CREATE ", "ALTER ", "DROP ", "TRUNCATE ", "WITH ", "LOCK TABLE"];
const SQL_WITHIN: &[&str] = &["DELETE FROM", "INSERT INTO", "(SELECT "];
const FORMATTERS: &[&str] = &["format!(", "format_args!(", "write!(", "writeln!("];
const MOST_LINES: usize = 400;

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|names| names.contains(&module))
}

fn imports(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| source.path != "src/lib.rs") {
        let own = source.module();
        let Some(place) = layer(own) else {
            violations.push(source.at(0, "this module has no place among LAYERS in tests/layers.rs"));
            continue;
        };
        for (at, name) in source.imports().into_iter().filter(|(_, name)| name != own) {
            match layer(&name) {
                Some(other) if other > place => {
                    violations.push(source.at(at, &format!("`{own}` imports `{name}`, which stands after it")))
                }
                Some(other) if other == place => {
                    violations.push(source.at(at, &format!("`{own}` imports its sibling `{name}`")));
                }
                Some(_) if name == "demo" && !WHO_MAY_IMPORT_DEMO.contains(&own) => {
                    violations.push(source.at(at, &format!("`{own}` imports `demo`, which is for the command line")));
                }
                Some(_) => {}
                // A name that climbs with `super` may be the file's own; `crate::` names a module or nothing.
                None if source.code[..at].ends_with("super::") || source.code[..at].ends_with('{') => {}
                None => violations.push(source.at(at, &format!("`{name}` has no place among LAYERS"))),
            }
        }
    }
    violations
}

/// Violations by words that only files for which `allowed` holds may contain.
fn confined(sources: &[Source], words: &[&str], allowed: impl Fn(&str) -> bool, why: &str) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| !allowed(&source.path)) {
        for word in words {
            violations.extend(source.words(word).map(|at| source.at(at, &format!("`{word}`: {why}"))));
        }
    }
    violations
}

fn clock(sources: &[Source]) -> Vec<String> {
    confined(sources, CLOCKS, |path| path == "src/clock.rs", "instants come from a Clock; only clock.rs asks")
}

fn asynchronous(sources: &[Source]) -> Vec<String> {
    let allowed = |path: &str| path.starts_with("src/daemon") || ASYNC_ALLOWED.iter().any(|(file, _)| *file == path);
    confined(sources, &["async", "await"], allowed, "asynchronous code stands in daemon/")
}

fn removal(sources: &[Source]) -> Vec<String> {
    confined(sources, REMOVALS, |path| path.starts_with("src/files"), "only files/ removes a file")
}

/// Every place that can remove or change a row, and why no legal hold is missing there. Operators' rows are touched by the
/// statements of `target/statements.rs` alone; each of them takes a `Guarded`, which `graph/held.rs` alone makes.
const MAY_CHANGE_ROWS: &[(&str, &str)] = &[
    ("src/store/target/statements.rs", "operators' rows: by `Guarded` conditions only"),
    ("src/store/capture.rs", "which triggers retentiond has installed"),
    ("src/store/removing.rs", "the row of retentiond_actor that says who removes"),
    ("src/store/sealed.rs", "the keys of rows that are folded and not purged yet"),
    ("src/store/folded.rs", "which rows are counted, of those that are gone"),
    ("src/store/gate.rs", "retentiond's own gate"),
    ("src/store/held.rs", "the held rows themselves"),
    ("src/store/state/", "retentiond's own memory"),
    (
        "src/store/target/rollup/summaries.rs",
        "summaries: numbers are added to, small groups become one in the fold's own transaction",
    ),
];
const CHANGES: &[&str] = &["DELETE FROM", "UPDATE ", "TRUNCATE", "REPLACE INTO", "DROP TABLE"];
const CHANGERS: &[&str] = &["diesel::delete", "diesel::update", "diesel::replace_into"];

fn holds_apply(sources: &[Source]) -> Vec<String> {
    let may = |path: &str| MAY_CHANGE_ROWS.iter().any(|(place, _)| path.starts_with(place));
    let mut violations = confined(sources, CHANGERS, may, "a path that changes rows and that no hold reaches");
    for source in sources.iter().filter(|source| !may(&source.path)) {
        let found = source.strings.iter().filter(|(_, text)| CHANGES.iter().any(|word| text.starts_with(word)));
        violations.extend(found.map(|(at, _)| source.at(*at, "SQL that changes rows and that no hold reaches")));
    }
    let guard = |path: &str| path == "src/graph/held.rs" || path == "src/store/target/held.rs";
    violations.extend(confined(sources, &["Guarded::new"], guard, "only `Graph::guard` lets a statement touch rows"));
    violations.extend(statements_without_guard(sources));
    violations
}

/// Functions of `target/statements.rs` that begin a changing statement and take no `Guarded`.
fn statements_without_guard(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| source.path == "src/store/target/statements.rs") {
        for (at, _) in source.strings.iter().filter(|(_, text)| CHANGES.iter().any(|word| text.starts_with(word))) {
            let begin = source.code[..*at].rfind("fn ").unwrap_or_default();
            if !source.code[begin..*at].contains("&Guarded") {
                violations.push(source.at(*at, "this statement changes rows and takes no `Guarded`"));
            }
        }
    }
    violations
}

fn is_sql(text: &str) -> bool {
    let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '(' || c == '\\');
    SQL_STARTS.iter().any(|word| start.starts_with(word)) || SQL_WITHIN.iter().any(|words| text.contains(words))
}

fn sql(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| !source.path.starts_with("src/store")) {
        let found = source.strings.iter().filter(|(_, text)| is_sql(text));
        violations.extend(found.map(|(at, _)| source.at(*at, "SQL text stands in store/ only")));
    }
    violations
}

fn formatted_sql(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources {
        for (at, _) in source.strings.iter().filter(|(_, text)| is_sql(text)) {
            let begin = source.code[..*at].rfind([';', '{', '}']).map_or(0, |end| end + 1);
            if FORMATTERS.iter().any(|word| source.code[begin..*at].contains(word)) {
                violations.push(source.at(*at, "SQL is never formatted: names and values are pushed and bound"));
            }
        }
    }
    violations
}

fn kinds_in_config(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| source.module() == "config") {
        for kind in KINDS {
            let camel: String = kind.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
            let in_strings = source.strings.iter().filter(|(_, text)| text.contains(kind)).map(|(at, _)| *at);
            let in_code = source.words(kind).collect::<Vec<_>>().into_iter();
            let as_type = source.code.match_indices(&camel).map(|(at, _)| at);
            let places = in_strings.chain(in_code).chain(as_type);
            violations.extend(places.map(|at| source.at(at, &format!("`config` names the kind `{kind}`"))));
        }
    }
    violations
}

fn length(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| !source.code.trim().is_empty()) {
        let lines = source.raw.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        let most = if source.path == "src/main.rs" { 39 } else { MOST_LINES };
        if lines > most {
            violations.push(source.at(0, &format!("{lines} lines before the tests, of at most {most}")));
        }
    }
    violations
}

fn introduction(sources: &[Source]) -> Vec<String> {
    let silent = sources.iter().filter(|source| !source.raw.starts_with("//! "));
    silent.map(|source| source.at(0, "the file does not begin with `//!`: what it is for, and why")).collect()
}

/// All of `src/`, sorted by path.
fn house() -> Vec<Source> {
    fn walk(dir: &Path, root: &Path, sources: &mut Vec<Source>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, sources);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_string_lossy();
                sources.push(Source::new(&name, &std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    walk(&root.join("src"), root, &mut sources);
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    for file in ["src/lib.rs", "src/main.rs", "src/names.rs", "src/store/mod.rs"] {
        assert!(sources.iter().any(|source| source.path == file), "the house was not found: no {file}");
    }
    sources
}

#[track_caller]
fn holds(rule: fn(&[Source]) -> Vec<String>) {
    let violations = rule(&house());
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn a_module_imports_only_what_stands_before_it() {
    holds(imports);
}

#[test]
fn only_the_clock_asks_for_the_time() {
    holds(clock);
}

#[test]
fn only_the_daemon_is_asynchronous() {
    holds(asynchronous);
}

#[test]
fn only_files_removes_a_file() {
    holds(removal);
}

#[test]
fn only_the_store_speaks_sql() {
    holds(sql);
}

#[test]
fn sql_is_never_formatted() {
    holds(formatted_sql);
}

#[test]
fn no_row_is_touched_without_a_look_at_holds() {
    holds(holds_apply);
}

#[test]
fn config_knows_no_kind() {
    holds(kinds_in_config);
}

#[test]
fn files_are_short_enough_to_read() {
    holds(length);
}

#[test]
fn each_file_says_what_it_is_for() {
    holds(introduction);
}

#[test]
fn each_rule_catches_what_it_is_for() {
    type Rule = fn(&[Source]) -> Vec<String>;
    let long = "//! x\n".repeat(401);
    let main = "//! x\n".repeat(40) + "fn main() {}";
    let cases: &[(Rule, &str, &str)] = &[
        (imports, "src/store/conn.rs", "use crate::graph::Graph;"),
        (imports, "src/store/conn.rs", "use crate::files::Root;"),
        (imports, "src/clock.rs", "fn f() -> crate::names::JobName {}"),
        (imports, "src/clock.rs", "use super::names::JobName;"),
        (imports, "src/graph/order.rs", "use super::super::jobs::Job;"),
        (imports, "src/graph/order.rs", "use crate::{names::{a, b}, store::Db,\n plan::Plan};"),
        (imports, "src/graph/order.rs", "use crate::{\n    demo,\n};"),
        (imports, "src/plan.rs", "use crate::demo::seed;"),
        (imports, "src/demo/mod.rs", "use crate::graph::Graph;"),
        (imports, "src/store/macros.rs", "macro_rules! m { () => { $crate::jobs::KINDS } }"),
        (imports, "src/extra.rs", "fn f() {}"),
        (imports, "src/cli/mod.rs", "use crate::extra::f;"),
        (clock, "src/jobs/mod.rs", "let now = chrono::Utc::now();"),
        (clock, "src/store/pool.rs", "let now = SystemTime::now();"),
        (asynchronous, "src/jobs/mod.rs", "async fn f() {}"),
        (asynchronous, "src/store/stmt.rs", "let x = f().await;"),
        (removal, "src/jobs/mod.rs", "std::fs::remove_file(path)?;"),
        (removal, "src/demo/mod.rs", "fs::remove_dir_all(path)?;"),
        (removal, "src/store/pool.rs", "rustix::fs::unlinkat(dir, name, flags)?;"),
        (sql, "src/jobs/mod.rs", "let s = \"DELETE FROM t\";"),
        (sql, "src/graph/order.rs", "let s = r#\"\n  SELECT 1\"#;"),
        (sql, "src/graph/order.rs", "let c = '\"'; let s = \"UPDATE t\";"),
        (sql, "src/graph/order.rs", "fn f<'a>(x: &'a str) { g(\"x IN (SELECT id\") }"),
        (holds_apply, "src/store/ledger.rs", "diesel::delete(rows).execute(raw)"),
        (holds_apply, "src/store/probe.rs", "let s = Stmt::new(\"DELETE FROM \");"),
        (holds_apply, "src/removal/rows.rs", "let all = Guarded::new(free, rows);"),
        (holds_apply, "src/store/target/statements.rs", "fn purge(rows: &Expr) { Stmt::new(\"DELETE FROM \"); }"),
        (formatted_sql, "src/store/stmt.rs", "let s = format!(\"DELETE FROM {t}\");"),
        (formatted_sql, "src/store/stmt.rs", "write!(out, \"UPDATE {t}\")?;"),
        (kinds_in_config, "src/config/document.rs", "if kind == \"retention_purge\" {}"),
        (kinds_in_config, "src/config/values.rs", "enum Kind { AuditRollup }"),
        (length, "src/graph/order.rs", &long),
        (length, "src/main.rs", &main),
        (introduction, "src/graph/order.rs", "use std::fmt;\n//! late\n"),
    ];
    for (rule, path, text) in cases {
        let text = if text.len() > 1000 { (*text).to_owned() + "fn f() {}" } else { (*text).to_owned() };
        let found = rule(&[Source::new(path, &text)]);
        assert_eq!(found.len(), 1, "{path}: {}: {found:?}", &text[..text.len().min(100)]);
        assert!(found[0].starts_with(path), "{found:?}");
    }
}

#[test]
fn what_is_allowed_passes() {
    let fine: &[(&str, &str)] = &[
        ("src/jobs/mod.rs", "//! x\nuse crate::{names::JobName, plan::Plan, store};\nuse super::store::Db;"),
        ("src/store/connect.rs", "//! x\npub(in crate::store) fn f() {}\nasync fn g() { h().await }"),
        ("src/store/conn.rs", "//! x\nconst Q: &str = \"DELETE FROM t\"; const R: &str = \"SELECT 1\";"),
        ("src/clock.rs", "//! x\nfn now() { Utc::now() }"),
        ("src/files/mod.rs", "//! x\nfn f() { unlinkat(d, n, f) }"),
        (
            "src/graph/order.rs",
            "//! Utc::now, remove_file, `crate::jobs` and \"SELECT 1\" in a comment\n/* async /* await */ */",
        ),
        (
            "src/graph/order.rs",
            "//! x\nlet s = \"crate::jobs Utc::now async \\\" remove_file, cannot SELECT from it\";",
        ),
        ("src/graph/order.rs", "//! x\nfn f() {}\n#[cfg(test)]\nmod tests { use crate::jobs; fn f() { Utc::now(); } }"),
        ("src/demo/tests.rs", "//! x\nuse crate::jobs;"),
        ("src/config/values.rs", "//! x\n// a retention_purge job\nstruct Kind(String);"),
        (
            "src/graph/order.rs",
            "//! x\nstruct S { unlink: u8, asynchronous: u8 } // café\nfn s<'a>(c: char) { c == '\\''; }",
        ),
    ];
    let rules = [imports, clock, asynchronous, removal, sql, formatted_sql, kinds_in_config, length, introduction];
    for (path, text) in fine {
        for rule in rules {
            assert_eq!(rule(&[Source::new(path, text)]), [""; 0], "{text}");
        }
    }
    let after = Source::new("src/graph/order.rs", "//! x\n#[cfg(test)]\nmod tests;\nuse crate::jobs;");
    assert_eq!(imports(&[after]).len(), 1, "what follows a test module is looked at");
}
