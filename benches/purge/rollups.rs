//! Rollups: as much time as one plain `INSERT … SELECT … GROUP BY` and the purge's own share of a plain `DELETE`.

use crate::bed::{Bed, Engine, Timing};
use crate::cases::{Line, Plan, median, spread, tell};
use crate::purger::{Purger, Run};
use crate::server::run_sql;

/// What the fold may take of the plain one's time.
const FOLD: f64 = 1.15;

/// All rows that are made, in the words of all three databases.
const DUE: &str = "at < '2026-01-01'";

/// A table of audit rows over the days before 2026, what it is made anew from, and who folds it.
struct Audit {
    bed: Bed,
    purger: Purger,
    distinct: bool,
}

impl Audit {
    /// `days`: so many days are kept.
    fn make(engine: Engine, rows: u64, days: i64, distinct: bool) -> Self {
        println!("  making {rows} audit rows");
        let bed = Bed::empty(engine);
        run_sql(&bed.url, &source(engine, rows));
        let purger = Purger::with(&policy(engine, &bed.url, days, distinct));
        let audit = Self { bed, purger, distinct };
        audit.reset();
        audit.purger.init();
        audit
    }

    fn reset(&self) {
        run_sql(&self.bed.url, &anew(self.bed.engine));
        // The summaries' table is there only after `init`.
        drop(crate::server::try_sql(&self.bed.url, "DELETE FROM audit_daily"));
    }

    /// The plain fold, then the plain deletion: of what is due, as an operator would write them. Without `WHERE` SQLite
    /// would let go of whole pages instead of deleting rows.
    fn plain(&self) -> (Timing, Timing) {
        self.reset();
        let day = match self.bed.engine {
            Engine::Postgres => "CAST(date_trunc('day', at) AS date)",
            Engine::Mariadb => "DATE(at)",
            Engine::Sqlite => "substr(at, 1, 10)",
        };
        let distinct = if self.distinct { ", count(DISTINCT actor)" } else { "" };
        let columns = if self.distinct { ", actors, supplement" } else { "" };
        let zero = if self.distinct { ", 0" } else { "" };
        let fold = format!(
            "INSERT INTO audit_daily (period, role, action, row_count, first_at, last_at{columns}) \
             SELECT {day}, role, action, count(*), min(at), max(at){distinct}{zero} FROM audit \
             WHERE {DUE} GROUP BY {day}, role, action"
        );
        let folded = self.bed.one_shot(&[fold]);
        (folded, self.bed.one_shot(&[format!("DELETE FROM audit WHERE {DUE}")]))
    }

    fn run(&self) -> Run {
        self.reset();
        self.purger.run(true)
    }
}

/// All of it folded, A B A B A.
pub fn all(plan: &Plan, case: &str, engine: Engine, work: &str, delete: f64, distinct: bool) -> Vec<Line> {
    let audit = Audit::make(engine, 1_000_000, 30, distinct);
    let mut plain = vec![audit.plain()];
    let (mut runs, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..plan.reps {
        let run = audit.run();
        tell("B", run.timing());
        plain.push(audit.plain());
        let near = &plain[plain.len() - 2..];
        let mean = |of: fn(&(Timing, Timing)) -> f64| near.iter().map(of).sum::<f64>() / 2.0;
        let (fold, gone) = (mean(|(fold, _)| fold.seconds), mean(|(_, gone)| gone.seconds));
        println!("  A fold {fold:.2} s, deletion {gone:.2} s");
        ratios.push(run.seconds / (FOLD * fold + gone / delete));
        runs.push(run);
    }
    let seconds = |of: fn(&(Timing, Timing)) -> f64| plain.iter().map(of).collect::<Vec<_>>();
    let peak = runs.iter().map(|run| run.peak_kib as f64 / 1024.0).fold(0.0, f64::max);
    vec![Line {
        case: case.into(),
        work: format!("{work}, 1 M audit rows into days, unpaced"),
        goal: format!("≤ {FOLD} × plain INSERT … SELECT + plain DELETE / {delete}"),
        found: format!(
            "{} of that; plain fold {} s, plain DELETE {} s; {peak:.0} MiB resident",
            spread(&ratios, 2),
            spread(&seconds(|(fold, _)| fold.seconds), 2),
            spread(&seconds(|(_, gone)| gone.seconds), 2)
        ),
        met: (!ratios.is_empty()).then(|| median(&ratios) <= 1.0),
    }]
}

/// One day of ten million rows: what is done each night.
pub fn day(plan: &Plan) -> Vec<Line> {
    let since = (retentiond::clock::Clock::system().now() - chrono::DateTime::UNIX_EPOCH).num_days() - FIRST_DAY;
    let audit = Audit::make(Engine::Postgres, 10_000_000, since - 1, false);
    let mut found = Vec::new();
    for _ in 0..plan.reps {
        let run = audit.run();
        let gone = audit.bed.one_shot(&["DELETE FROM audit WHERE at < '2024-01-03'".to_owned()]);
        println!(
            "  {} rows, {:.1} ms; the same number of rows deleted in {:.1} ms",
            run.rows,
            run.longest_ms,
            gone.seconds * 1e3
        );
        found.push(run.longest_ms - gone.seconds * 1e3 / 0.75);
    }
    vec![Line {
        case: "rollup-day".into(),
        work: "PostgreSQL, one day of 10 M audit rows".into(),
        goal: "≤ 25 ms beside the deletion".into(),
        found: format!("{} ms", spread(&found, 1)),
        met: (!found.is_empty()).then(|| median(&found) <= 25.0),
    }]
}

/// 2024-01-01, in days since 1970.
const FIRST_DAY: i64 = 19_723;

/// The rows, evenly over 730 days; role, action and actor from a multiplier, the same on every engine.
fn source(engine: Engine, rows: u64) -> String {
    let step = 730.0 * 86_400.0 / rows as f64;
    let (from, at, pick): (String, String, fn(&str, u32) -> String) = match engine {
        Engine::Postgres => (
            format!("generate_series(1, {rows}) AS s(i)"),
            format!("timestamptz '2024-01-01 00:00+00' + make_interval(secs => floor(i * {step}))"),
            |list, n| format!("(ARRAY[{list}])[1 + (i::bigint * 7919 / 13) % {n}]"),
        ),
        Engine::Mariadb => (
            format!("(SELECT seq AS i FROM seq_1_to_{rows}) s"),
            format!("TIMESTAMPADD(SECOND, FLOOR(i * {step}), '2024-01-01 00:00:00')"),
            |list, n| format!("ELT(1 + (i * 7919 DIV 13) % {n}, {list})"),
        ),
        Engine::Sqlite => (
            format!(
                "(WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {rows}) SELECT i FROM s)"
            ),
            format!("datetime('2024-01-01', '+' || CAST(i * {step} AS INTEGER) || ' seconds')"),
            |list, n| {
                let whens = list.split(", ").enumerate().map(|(place, value)| format!("WHEN {place} THEN {value} "));
                format!("CASE (i * 7919 / 13) % {n} {}END", whens.collect::<String>())
            },
        ),
    };
    let role = pick("'admin', 'clerk', 'agent'", 3);
    let action = pick("'view', 'update', 'login', 'export', 'delete', 'listen', 'print'", 7);
    let (text, wal) = match engine {
        Engine::Postgres => ("timestamptz", ""),
        Engine::Mariadb => ("datetime", ""),
        Engine::Sqlite => ("text", "PRAGMA journal_mode=WAL;"),
    };
    format!(
        "{wal} CREATE TABLE staff (id bigint PRIMARY KEY);
         CREATE TABLE source (id bigint PRIMARY KEY, at {text} NOT NULL, actor bigint, role varchar(40), action varchar(40),
             details varchar(80));
         INSERT INTO source SELECT i, {at}, 3 + (i % 1998 * 48271) % 1998, {role}, {action}, 'field' FROM {from};"
    )
}

fn anew(engine: Engine) -> String {
    let (analyse, key) = match engine {
        Engine::Postgres => ("VACUUM (FREEZE, ANALYZE) audit; CHECKPOINT", "bigint"),
        Engine::Mariadb => ("ANALYZE TABLE audit", "bigint"),
        Engine::Sqlite => ("ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)", "INTEGER"),
    };
    let at = match engine {
        Engine::Postgres => "timestamptz",
        Engine::Mariadb => "datetime",
        Engine::Sqlite => "text",
    };
    format!(
        "DROP TABLE IF EXISTS audit;
         CREATE TABLE audit (id {key} PRIMARY KEY, at {at} NOT NULL, actor bigint, role varchar(40), action varchar(40),
             details varchar(80));
         INSERT INTO audit SELECT * FROM source ORDER BY id; CREATE INDEX audit_at ON audit (at); {analyse}"
    )
}

fn policy(engine: Engine, url: &str, days: i64, distinct: bool) -> String {
    let time = match engine {
        Engine::Postgres => "\"at\"",
        Engine::Mariadb => "{ column = \"at\", zone = \"UTC\" }",
        Engine::Sqlite => "{ column = \"at\", zone = \"UTC\", format = \"%Y-%m-%d %H:%M:%S\" }",
    };
    let user = if distinct { "user = \"actor\"\n" } else { "" };
    format!(
        "[stores.bench]\nurl = \"{url}\"\n[brakes]\nmax_rows = 1000000000\nmax_percent = 100\nmax_times_usual = 1000000\n\
         [people.user]\ndata = \"staff\"\nidentifiers = {{ id = \"id\" }}\n\
         [data.staff]\nstore = \"bench\"\ntable = \"staff\"\ncategory = \"user_master_data\"\n\
         [data.audit]\nstore = \"bench\"\ntable = \"audit\"\ncategory = \"reporting_data\"\n{user}time = {time}\n\
         [data.audit_daily]\nstore = \"bench\"\ntable = \"audit_daily\"\ncategory = \"reporting_data\"\n\
         [jobs.purge]\nkind = \"audit_rollup\"\ndata = \"audit\"\nkeep = \"{days} days\"\nbucket = \"day\"\n\
         by = [\"role\", \"action\"]\ninto = \"audit_daily\"\n"
    )
}
