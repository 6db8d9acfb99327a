//! What the daemon tells others of a run that somebody asked for.

use std::io::{Read as _, Write as _};

use crate::office::Office;
use crate::operator;
use crate::support::run_sql;

/// What an operator has run counts in the metrics as what the schedule has, and ends the alerts of its job.
#[test]
fn a_run_that_was_asked_for_is_counted() {
    let office = Office::with(|policy, desk| {
        let place = desk.project.path("metrics.sock");
        format!("{policy}\n[metrics]\nlisten = \"unix:{}\"\n", place.display())
    });
    let state = format!("sqlite:{}", office.desk.project.path("state.db").display());
    run_sql(
        &state,
        "INSERT INTO incidents VALUES ('contacts', 'failed', 'gone', '2026-01-01 00:00:00', '2026-01-01 00:00:00', 1);",
    );
    operator(&office, &["run", "contacts"]).expect_code(0);
    let incidents = || run_sql(&state, "SELECT count(*) FROM incidents WHERE job = 'contacts';");
    assert_eq!(incidents().trim(), "0", "nobody is written of it any more");
    let mut stream = std::os::unix::net::UnixStream::connect(office.desk.project.path("metrics.sock")).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    for counted in [
        "retentiond_runs_total{job=\"contacts\",outcome=\"complete\"} 1",
        "retentiond_rows_removed_total{job=\"contacts\",data=\"contacts\",action=\"delete\"} 2",
    ] {
        assert!(text.contains(counted), "{counted}\n{text}");
    }
}
