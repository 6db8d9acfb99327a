//! What capturing costs a busy insert: single rows, as an application writes them.

use crate::bed::{Bed, Engine};
use crate::cases::{Line, Plan, median, spread};
use crate::purger::Purger;
use crate::server::run_sql;

/// Rows of one measurement, each a statement of its own in one transaction.
const ROWS: usize = 10_000;

/// Without triggers, with them, without, with …: how many times as long an insert takes.
pub fn cost(plan: &Plan, case: &str, engine: Engine, name: &str) -> Vec<Line> {
    let bed = Bed::empty(engine);
    run_sql(
        &bed.url,
        "CREATE TABLE contacts (id bigint PRIMARY KEY, agent_id bigint, channel varchar(16), caller_number varchar(32),
             caller_email varchar(128), subject varchar(255), queue_id varchar(32), note varchar(255));",
    );
    let purger = Purger::with(&format!(
        "[stores.bench]\nurl = \"{}\"\n[data.contacts]\nstore = \"bench\"\ntable = \"contacts\"\n\
         category = \"contact_data_records\"\n",
        bed.url
    ));
    purger.init();
    let capture = |how: &str| {
        let output = purger.command(&["audit", "capture", "bench", how]).output().expect("retentiond starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let insert = || {
        run_sql(&bed.url, "DELETE FROM contacts");
        let row = |id: usize| {
            format!(
                "INSERT INTO contacts VALUES ({id}, {}, 'voice', '+4930{id:07}', 'c{id}@example.org', 'Question', 'sales', NULL)",
                id % 50
            )
        };
        bed.one_shot(&(0..ROWS).map(row).collect::<Vec<_>>()).seconds / ROWS as f64 * 1e6
    };
    let (mut plain, mut captured) = (Vec::new(), Vec::new());
    for _ in 0..plan.reps {
        plain.push(insert());
        capture("--apply");
        captured.push(insert());
        capture("--remove");
        run_sql(&bed.url, "DELETE FROM retentiond_changes");
    }
    let ratios: Vec<f64> = plain.iter().zip(&captured).map(|(plain, captured)| captured / plain).collect();
    println!("  an insert {:.0} µs, captured {:.0} µs", median(&plain), median(&captured));
    vec![Line {
        case: case.into(),
        work: format!("{name}, inserts of a row with 7 values, changes captured"),
        goal: "measured, no goal".into(),
        found: format!(
            "{} × the time; an insert {} µs, captured {} µs",
            spread(&ratios, 2),
            spread(&plain, 0),
            spread(&captured, 0)
        ),
        met: None,
    }]
}
