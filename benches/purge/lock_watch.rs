//! The locks of a running purge on MariaDB.

use std::process::Stdio;
use std::time::Duration;

use crate::bed::Bed;
use crate::server::client;

/// Looks at the locks of the largest transaction again and again while a purge runs.
pub struct LockWatch(std::process::Child, std::thread::JoinHandle<Option<(f64, u64, u64)>>);

impl LockWatch {
    /// Begins.
    pub fn start(bed: &Bed) -> Self {
        use std::io::{BufRead as _, BufReader, Write as _};
        let mut command = client(&bed.url);
        command.args(["--unbuffered", "--force"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the client starts");
        let mut input = child.stdin.take().expect("stdin is piped");
        let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        // The view is made anew at most every 100 ms.
        std::thread::spawn(move || {
            let look = "SELECT trx_rows_locked, trx_rows_modified FROM information_schema.innodb_trx \
                        WHERE trx_rows_modified > 100 ORDER BY trx_rows_modified DESC LIMIT 1; DO SLEEP(0.11);\n";
            while input.write_all(look.as_bytes()).is_ok() {
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let reader = std::thread::spawn(move || {
            let mut worst: Option<(f64, u64, u64)> = None;
            for line in output.lines().map_while(Result::ok) {
                let sample = line.split_once('\t').and_then(|(l, r)| Some((l.parse().ok()?, r.parse().ok()?)));
                let Some((locks, rows)) = sample else { continue };
                let share = locks as f64 / rows as f64;
                if worst.is_none_or(|(most, ..)| share > most) {
                    worst = Some((share, locks, rows));
                }
            }
            worst
        });
        Self(child, reader)
    }

    /// Ends, and gives the worst that was seen: locks to rows, locks, rows.
    pub fn finish(mut self) -> Option<(f64, u64, u64)> {
        self.0.kill().expect("our child");
        drop(self.0.wait());
        self.1.join().expect("the reader ends")
    }
}
