//! What the summaries say.

use crate::bed::{ALL, Bed, DAYS, Db, MONTHS};

const DAY_COLUMNS: [&str; 8] = ["period", "supplement", "role", "action", "row_count", "first_at", "last_at", "actors"];

fn row(bed: &Bed, at: &str, actor: &str, role: &str) -> String {
    format!("{}, {actor}, {role}, 'edit', 'n', 1, 1", bed.at(at))
}

/// Rows around the edges of days, of groups and of what is expired at all; gives their number.
fn fill_days(bed: &Bed) -> i64 {
    let row = |at: &str, actor: &str, role: &str| row(bed, at, actor, role);
    let mut rows = Vec::new();
    // 26 October 2025 had 25 hours in Helsinki: from 21:00 to 22:00 (UTC).
    for (actor, at) in ["21:00:00", "21:00:01", "23:59:59"].iter().enumerate() {
        rows.push(row(&format!("2025-10-25 {at}"), &actor.to_string(), "'admin'"));
    }
    for at in ["00:30:00", "01:30:00", "21:59:59"] {
        rows.push(row(&format!("2025-10-26 {at}"), "7", "'admin'"));
    }
    rows.push(row("2025-10-25 20:59:59", "1", "'admin'"));
    rows.push(row("2025-10-26 22:00:00", "1", "'admin'"));
    // NULL is a group of its own; case, accents and blanks at the end tell groups apart.
    for role in ["NULL", "'jose'", "'josé'", "'Jose'", "'jose '"] {
        for actor in 0..5 {
            rows.push(row("2025-11-02 12:00:00", &actor.to_string(), role));
        }
    }
    // Four and three rows are too few; together they are `other`, with five different actors.
    for actor in ["1", "2", "3", "NULL"] {
        rows.push(row("2025-11-02 13:00:00", actor, "'clerk'"));
    }
    for actor in ["3", "4", "5"] {
        rows.push(row("2025-11-02 14:00:00", actor, "'Clerk'"));
    }
    // No time, and the day before yesterday.
    rows.push("NULL, 1, 'admin', 'edit', 'n', 1, 1".to_owned());
    bed.rows(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    let young = match bed.db {
        Db::Sqlite => "datetime('now', '-2 days')",
        Db::Postgres => "now() - interval '2 days'",
        Db::Mariadb => "now() - interval 2 day",
    };
    bed.sql(&format!("INSERT INTO audit VALUES (9000, {young}, 1, 'admin', 'edit', 'n', 1, 1);"));
    bed.number("SELECT COUNT(*) FROM audit;")
}

fn late_rows_stand_beside(bed: &Bed, mut expected: Vec<String>) {
    let row = |at: &str, actor: &str, role: &str| row(bed, at, actor, role);
    let db = bed.db;
    // Rows that come late stand beside what was folded, their actors counted by themselves.
    for actor in 0..6 {
        bed.rows(&[&row("2025-11-02 15:00:00", &actor.to_string(), "'jose'")]);
    }
    bed.rows(&[&row("2025-11-02 16:00:00", "1", "'clerk'"), &row("2025-10-30 16:00:00", "1", "'clerk'")]);
    bed.program(&["run", "audit"]).expect_code(0);
    expected.extend(
        [
            "2025-10-30|0|(other)|(other)|1|2025-10-30 16:00:00|2025-10-30 16:00:00|1",
            "2025-11-02|1|(other)|(other)|1|2025-11-02 16:00:00|2025-11-02 16:00:00|1",
            "2025-11-02|1|jose|edit|6|2025-11-02 15:00:00|2025-11-02 15:00:00|6",
        ]
        .map(str::to_owned),
    );
    expected.sort();
    assert_eq!(bed.summaries(&DAY_COLUMNS), expected, "{db:?}");
    assert_eq!(bed.number("SELECT COUNT(*) FROM audit;"), 2, "{db:?}");
}

#[test]
fn days_are_those_of_the_zone_and_groups_those_of_the_bytes() {
    for db in ALL {
        let bed = Bed::new(db, "Europe/Helsinki", DAYS);
        let all = fill_days(&bed);
        let plan = bed.program(&["--format", "json", "plan", "--now", "2026-02-20T12:00:00Z"]).expect_code(0).json();
        assert_eq!(plan["jobs"][0]["steps"][0]["action"], "fold", "{plan}");
        assert_eq!(plan["jobs"][0]["steps"][0]["rows"].as_i64(), Some(all - 2), "{db:?} {plan}");
        assert_eq!(plan["jobs"][0]["steps"][0]["rule"], "day into audit_daily, at most 9 periods");
        assert_eq!(bed.number("SELECT COUNT(*) FROM audit_daily;"), 0);

        let run = bed.program(&["--format", "json", "run", "audit"]).expect_code(0).json();
        assert_eq!(run["jobs"][0]["rows"].as_i64(), Some(all - 2), "{db:?} {run}");
        let expected = [
            "2025-10-25|0|(other)|(other)|1|2025-10-25 20:59:59|2025-10-25 20:59:59|1",
            "2025-10-26|0|admin|edit|6|2025-10-25 21:00:00|2025-10-26 21:59:59|4",
            "2025-10-27|0|(other)|(other)|1|2025-10-26 22:00:00|2025-10-26 22:00:00|1",
            "2025-11-02|0|(other)|(other)|7|2025-11-02 13:00:00|2025-11-02 14:00:00|5",
            "2025-11-02|0|Jose|edit|5|2025-11-02 12:00:00|2025-11-02 12:00:00|5",
            "2025-11-02|0|jose |edit|5|2025-11-02 12:00:00|2025-11-02 12:00:00|5",
            "2025-11-02|0|josé|edit|5|2025-11-02 12:00:00|2025-11-02 12:00:00|5",
            "2025-11-02|0|jose|edit|5|2025-11-02 12:00:00|2025-11-02 12:00:00|5",
            "2025-11-02|0|~|edit|5|2025-11-02 12:00:00|2025-11-02 12:00:00|5",
        ];
        let mut expected = expected.map(str::to_owned).to_vec();
        expected.sort();
        assert_eq!(bed.summaries(&DAY_COLUMNS), expected, "{db:?}");
        assert_eq!(bed.number("SELECT COUNT(*) FROM audit;"), 2, "{db:?}");
        assert_eq!(bed.number("SELECT SUM(row_count) FROM retentiond_ledger WHERE action = 'fold';"), all - 2);

        // Nothing is folded twice.
        bed.program(&["run", "audit"]).expect_code(0);
        assert_eq!(bed.summaries(&DAY_COLUMNS), expected, "{db:?}");

        late_rows_stand_beside(&bed, expected);
    }
}

#[test]
fn sums_are_exact_and_late_rows_are_added() {
    for db in ALL {
        let bed = Bed::new(db, "UTC", MONTHS);
        let columns = ["month", "name", "rows", "octets", "least", "most"]
            .map(|name| if db == Db::Mariadb { format!("`{name}`") } else { name.to_owned() });
        let columns = columns.each_ref().map(String::as_str);
        let big = 4_611_686_018_427_387_000_i64;
        let row = |at: &str, name: &str, octets: &str| format!("{}, 1, 'r', 'a', {name}, {octets}", bed.at(at));
        bed.rows(&[
            &row("2025-06-30 23:59:59", "'josé'", &format!("{big}, 807")),
            &row("2025-06-01 00:00:00", "'josé'", "3, NULL"),
            &row("2025-06-15 00:00:00", "'jose'", "NULL, NULL"),
            &row("2025-07-01 00:00:00", "'josé'", "-1, 1"),
            &row("2025-07-01 00:00:00", "NULL", "5, 6"),
        ]);
        bed.program(&["run", "audit"]).expect_code(0);
        let mut expected = [
            format!("2025-06|josé|2|{}|3|{big}", big + 807),
            "2025-06|jose|1|~|~|~".to_owned(),
            "2025-07|josé|1|0|-1|-1".to_owned(),
            "2025-07|~|1|11|5|5".to_owned(),
        ];
        expected.sort();
        assert_eq!(bed.summaries(&columns), expected, "{db:?}");
        bed.rows(&[
            &row("2025-06-10 10:00:00", "'josé'", "1, 1"),
            &row("2025-06-10 10:00:00", "'jose'", "8, 1"),
            &row("2025-07-10 10:00:00", "NULL", "1, 0"),
            &row("2025-07-10 10:00:00", "'new'", "1, 0"),
        ]);
        bed.program(&["run", "audit"]).expect_code(0);
        let mut expected = [
            format!("2025-06|josé|3|{}|1|{big}", big + 809),
            "2025-06|jose|2|9|8|8".to_owned(),
            "2025-07|josé|1|0|-1|-1".to_owned(),
            "2025-07|~|2|12|1|5".to_owned(),
            "2025-07|new|1|1|1|1".to_owned(),
        ];
        expected.sort();
        assert_eq!(bed.summaries(&columns), expected, "{db:?}");
        assert_eq!(bed.number("SELECT COUNT(*) FROM audit;"), 0, "{db:?}");
    }
}

#[test]
fn weeks_and_hours_begin_where_they_should() {
    let job = |bucket: &str| {
        format!(
            "[jobs.audit]\nkind = \"audit_rollup\"\ndata = \"audit\"\nkeep = \"90 days\"\nbucket = \"{bucket}\"\ninto = \"audit_daily\"\n\
             columns = {{ period = \"bucket\", n = \"count\" }}\n"
        )
    };
    for db in ALL {
        let bed = Bed::new(db, "Asia/Kolkata", &job("hour"));
        for at in ["2025-06-30 18:29:59", "2025-06-30 18:30:00", "2025-06-30 19:29:59", "2025-06-30 19:30:00"] {
            bed.rows(&[&format!("{}, 1, 'r', 'a', 'n', 1, 1", bed.at(at))]);
        }
        bed.program(&["run", "audit"]).expect_code(0);
        let hours = ["2025-06-30 23:00+05:30|1", "2025-07-01 00:00+05:30|2", "2025-07-01 01:00+05:30|1"];
        assert_eq!(bed.summaries(&["period", "n"]), hours, "{db:?}");

        let bed = Bed::new(db, "America/New_York", &job("week"));
        for at in ["2025-03-03 04:59:59", "2025-03-03 05:00:00", "2025-03-10 03:59:59", "2025-03-10 04:00:00"] {
            bed.rows(&[&format!("{}, 1, 'r', 'a', 'n', 1, 1", bed.at(at))]);
        }
        bed.program(&["run", "audit"]).expect_code(0);
        assert_eq!(bed.summaries(&["period", "n"]), ["2025-W09|1", "2025-W10|2", "2025-W11|1"], "{db:?}");
    }
}

/// A period that is larger than a transaction may be is folded in parts, and its small groups are merged at its end.
#[test]
fn a_large_period_is_folded_in_parts() {
    let job = DAYS.to_owned()
        + "pace = { rows_per_second = 700, pause_ms = 0 }\n\
           columns = { period = \"bucket\", row_count = \"count\", first_at = \"first\", last_at = \"last\", octets = \"sum:octets_in\" }\n";
    for db in ALL {
        let bed = Bed::new(db, "UTC", &job);
        let mut values = Vec::new();
        for id in 1..=3_000 {
            // Half of them at one and the same instant; `rare` has four rows, far apart.
            let second = if id % 2 == 0 { 0 } else { id % 60 };
            let role = if id % 800 == 1 { "rare" } else { ["admin", "clerk", "agent"][id % 3] };
            let at = bed.at(&format!("2025-06-30 10:{:02}:{second:02}", if id % 2 == 0 { 30 } else { id / 60 }));
            values.push(format!("({id}, {at}, 1, '{role}', 'edit', 'n', {id}, 0)"));
        }
        bed.sql(&format!("INSERT INTO audit VALUES {};", values.join(", ")));
        let expected: Vec<String> = ["admin", "agent", "clerk"]
            .iter()
            .map(|role| {
                bed.sql(&format!("SELECT COUNT(*), SUM(octets_in) FROM audit WHERE role = '{role}';"))
                    .trim()
                    .replace('\t', "|")
            })
            .zip(["admin", "agent", "clerk"])
            .map(|(sums, role)| format!("2025-06-30|{role}|edit|{sums}"))
            .collect();
        let run = bed.program(&["--format", "json", "run", "audit"]).expect_code(0).json();
        assert!(run["jobs"][0]["transactions"]["count"].as_u64().unwrap() > 4, "{run}");
        let mut summaries = bed.summaries(&["period", "role", "action", "row_count", "octets"]);
        assert_eq!(summaries.remove(0), "2025-06-30|(other)|(other)|4|4804", "{db:?}");
        assert_eq!(summaries, expected, "{db:?}");
        assert_eq!(bed.number("SELECT COUNT(*) FROM audit;"), 0, "{db:?}");
    }
}
