//! The gate, and what is known behind it.

use super::*;
use retentiond::store::gate::{self, GateError};
use retentiond::store::ledger;

const JOB: &str = "purge";

fn behind(conn: &mut Conn, token: i64, batch: Option<&str>) -> Result<(bool, String), GateError> {
    conn.transaction(Access::ReadWrite, |conn| {
        let known = gate::enter_knowing(conn, JOB, token, batch)?;
        Ok((known, format!("{:?}", conn.held_now())))
    })
}

/// Behind the gate it is known whose token is there, which entries have held rows, and whether the ledger has a batch.
#[test]
fn behind_the_gate_everything_is_known() {
    for url in three().urls {
        let database = open(&url);
        let mut conn = database.conn().unwrap();
        ledger::install(&mut conn).unwrap();
        gate::raise(&mut conn, JOB, 7).unwrap();
        assert_eq!(behind(&mut conn, 7, None).unwrap(), (true, "Known(Some({}))".to_owned()), "{url}");
        assert!(!behind(&mut conn, 7, Some("run-000001")).unwrap().0, "{url}");
        for token in [6, 8] {
            assert!(matches!(behind(&mut conn, token, None), Err(GateError::Overtaken)), "{url}");
        }
        run(&mut conn, "INSERT INTO retentiond_held (data, row_key, hold_case) VALUES ('people', '1:1', 'c')");
        // An entry may be called as the question's own names are.
        run(&mut conn, "INSERT INTO retentiond_held (data, row_key, hold_case) VALUES ('hold', '1:1', 'c')");
        run(&mut conn, "INSERT INTO retentiond_held (data, row_key, hold_case) VALUES ('seen', '1:1', 'c')");
        let (known, held) = behind(&mut conn, 7, Some("run-000001")).unwrap();
        assert_eq!((known, held.as_str()), (false, r#"Known(Some({"hold", "people", "seen"}))"#), "{url}");
    }
}

/// A hold that is placed while a batch waits at the gate is known behind it: the question was put before the hold was
/// there, and what it found then is asked again.
#[test]
fn a_hold_placed_while_a_batch_waits_is_known() {
    let url = support::postgres().fresh_database();
    let database = open(&url);
    let mut holder = database.conn().unwrap();
    ledger::install(&mut holder).unwrap();
    gate::raise(&mut holder, JOB, 1).unwrap();
    let waiting = |database: &Database| -> bool {
        let mut conn = database.conn().unwrap();
        let sql = "SELECT CAST(count(*) AS text) FROM pg_locks WHERE NOT granted";
        (0..100).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            ask(&mut conn, sql) != "0"
        })
    };
    // A batch waits 200 ms at most, so a slow machine may need several tries.
    let met = (0..20).any(|_| {
        run(&mut holder, "DELETE FROM retentiond_held");
        let other = open(&url);
        let batch = holder
            .transaction(Access::ReadWrite, |conn| {
                run(conn, "UPDATE retentiond_gate SET token = token + 1 WHERE name = 'hold'");
                let batch = std::thread::spawn(move || behind(&mut other.conn().unwrap(), 1, None));
                let met = waiting(&database);
                run(conn, "INSERT INTO retentiond_held (data, row_key, hold_case) VALUES ('people', '1:1', 'c')");
                Ok::<_, StoreError>((met, batch))
            })
            .unwrap();
        match (batch.0, batch.1.join().unwrap()) {
            (true, Ok((_, held))) => {
                assert_eq!(held, r#"Known(Some({"people"}))"#);
                true
            }
            (_, Ok(_)) => false,
            (_, Err(GateError::Store(error))) => {
                assert!(error.is_transient(), "{error}");
                false
            }
            (_, Err(GateError::Overtaken)) => panic!("nobody took the job over"),
        }
    });
    assert!(met, "no batch ever waited at the gate");
}
