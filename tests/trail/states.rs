//! The trail in each of the three databases: several writers, and writers that are killed.

use std::process::{Command, Stdio};
use std::time::Duration;

use retentiond::clock::Clock;
use retentiond::names::{DataName, JobName};
use retentiond::store::pool::Database;
use retentiond::store::state;
use retentiond::trail::act::Sum;
use retentiond::trail::{self, Act, Digest, Entry, Known, RunTrail, Signer, TrailError, Verdict};

use crate::support::{self, Random};
use crate::written::open;

/// What a child process is told by: the state that it writes to.
const CHILD: &str = "RETENTIOND_TEST_TRAIL";

fn on_each(test: fn(&str)) {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite:{}", folder.path().join("state.db").display());
    for url in [sqlite, support::postgres().fresh_database(), support::mariadb().fresh_database()] {
        eprintln!("{url}");
        test(&url);
    }
}

fn append(memory: &Database, acts: Vec<Act>) -> Result<u64, TrailError> {
    let entries: Vec<Entry> = acts.into_iter().map(Entry::new).collect();
    trail::append(&mut *memory.conn()?, Clock::system(), &entries)
}

fn proof(memory: &Database, known: &[Known]) -> trail::Proof {
    trail::export::verify_state(&mut memory.conn().unwrap(), known, &[], Clock::system().now()).unwrap().unwrap()
}

fn known(note: String) -> Known {
    Known { label: "kept".to_owned(), note }
}

#[test]
fn several_daemons_write_one_after_the_other() {
    on_each(|url| {
        let key = tempfile::tempdir().unwrap();
        let signer = Signer::open(None, Some(key.path())).unwrap();
        drop(open(url));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let memory = open(url);
                    for _ in 0..15 {
                        append(&memory, vec![Act::Pause, Act::Resume]).unwrap();
                    }
                });
            }
        });
        let memory = open(url);
        let signed = signer.checkpoint(&mut memory.conn().unwrap(), Clock::system()).unwrap().unwrap();
        assert_eq!(signed.size, 4 * 15 * 2 + 1, "and the record of the key");
        let found = proof(&memory, &[known(signed.note)]);
        assert_eq!(found.verdict(), Verdict::Proved, "{:?}", found.findings);
        assert_eq!(signer.checkpoint(&mut memory.conn().unwrap(), Clock::system()).unwrap(), None, "nothing is new");
    });
}

/// Not a test of its own: the process that is killed.
#[test]
fn writes_until_it_is_killed() {
    let Ok(url) = std::env::var(CHILD) else { return };
    let memory = open(&url);
    println!("ready");
    loop {
        append(&memory, vec![Act::Pause, Act::Refusal { why: "test", command: None }, Act::Resume]).unwrap();
    }
}

#[test]
fn killed_in_the_middle_it_is_whole() {
    on_each(|url| {
        let mut random = Random::seeded("kills");
        let memory = open(url);
        let kills = if std::env::var("RETENTIOND_TORTURE").is_ok() { 100 } else { 8 };
        let mut before = 0;
        for _ in 0..kills {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "states::writes_until_it_is_killed", "--nocapture"])
                .env(CHILD, url)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let size = |memory: &Database| trail::export::claims(&mut memory.conn().unwrap()).unwrap().size;
            while size(&memory) == before {
                std::thread::sleep(Duration::from_millis(2));
            }
            std::thread::sleep(Duration::from_micros(random.below(20_000)));
            child.kill().unwrap();
            child.wait().unwrap();
            // A server may still be at the last transaction; it is whole or not there.
            append(&memory, Vec::new()).unwrap();
            before = size(&memory);
            assert_eq!(before % 3, 0, "an append is all or nothing");
        }
        let found = proof(&memory, &[]);
        assert_eq!(found.verdict(), Verdict::Unanchored, "{:?}", found.findings);
    });
}

#[test]
fn what_was_signed_before_is_not_signed_again() {
    on_each(|url| {
        let key = tempfile::tempdir().unwrap();
        let signer = Signer::open(None, Some(key.path())).unwrap();
        let memory = open(url);
        let sign = || signer.checkpoint(&mut memory.conn().unwrap(), Clock::system());
        append(&memory, vec![Act::Pause, Act::Resume]).unwrap();
        sign().unwrap().unwrap();
        append(&memory, vec![Act::Pause, Act::Resume]).unwrap();
        support::run_sql(url, "UPDATE trail_leaves SET leaf = replace(leaf, '0', '1') WHERE seq = 3;");
        assert!(matches!(sign(), Err(TrailError::Fork(_))), "a leaf that came since was changed");
        support::run_sql(
            url,
            "UPDATE trail_head SET size = 0, frontier = ''; DELETE FROM trail_leaves; DELETE FROM trail_records; DELETE FROM trail_segments;",
        );
        support::run_sql(url, "UPDATE trail_head SET segment = -1;");
        append(&memory, vec![Act::Pause]).unwrap();
        assert!(matches!(sign(), Err(TrailError::Fork(_))), "it was cut off");
    });
}

#[test]
fn many_sign_at_once_and_none_accuses_another() {
    on_each(|url| {
        let folder = tempfile::tempdir().unwrap();
        drop(open(url));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let (memory, signer) = (open(url), Signer::open(None, Some(folder.path())).unwrap());
                    for _ in 0..25 {
                        append(&memory, vec![Act::Pause]).unwrap();
                        signer.checkpoint(&mut memory.conn().unwrap(), Clock::system()).unwrap();
                    }
                });
            }
        });
        let found = proof(&open(url), &[]);
        assert_eq!(found.verdict(), Verdict::Unanchored, "{:?}", found.findings);
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 2, "the key, and what was signed last");
    });
}

#[test]
fn the_key_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let first = Signer::open(None, Some(folder.path())).unwrap().public();
    assert_eq!(Signer::open(None, Some(folder.path())).unwrap().public(), first, "it is made once");
    let path = folder.path().join("trail.key");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(Signer::open(None, Some(folder.path())), Err(TrailError::Key(_))));
    assert!(matches!(Signer::open(None, None), Err(TrailError::Key(_))));
}

#[test]
fn an_error_that_passes_makes_no_trail_that_does_not_add_up() {
    on_each(|url| {
        let memory = open(url);
        let data: DataName = "contacts".parse().unwrap();
        let away = || support::run_sql(url, "ALTER TABLE trail_records RENAME TO away;");
        let back = || support::run_sql(url, "ALTER TABLE away RENAME TO trail_records;");
        let begin = |job: &str| {
            let (id, job) = (state::new_id(Clock::system().now()), job.parse::<JobName>().unwrap());
            let begin = (id.as_str(), &job, "beef");
            let (run, _) = RunTrail::begin(&memory, Clock::system(), begin, ("retention_purge", "schedule")).unwrap();
            (run, Entry { run: Digest::parse(&id), ..Entry::new(Act::Boot).job(&job) })
        };
        // What is recorded behind the run's back was committed in truth, though it was told of an error.
        let commit = |blank: &Entry, acts: &[Act]| {
            let entry = |act: &Act| Entry { act: act.clone(), ..blank.clone() };
            trail::record(&memory, Clock::system(), acts.iter().map(entry).collect()).unwrap();
        };
        let sums = vec![Sum { data: data.clone(), action: "delete", rows: 7, files: 1 }];
        let done = Act::BatchesDone { first: 0, last: 1, sums };
        let intent = |first| Act::BatchesIntent { first, last: first + 99 };
        let end = Act::RunEnd { outcome: "failed", rows: 7, files: 1, unknown: None };
        for (job, committed) in [("nothing", vec![]), ("turn", vec![done.clone(), intent(200)])] {
            for goes_on in [false, true] {
                let (run, blank) = begin(&format!("{job}-{goes_on}"));
                run.intend(0).unwrap();
                run.done(1, [(&data, "delete", 7, 1)].into_iter());
                away();
                assert!(run.intend(200).is_err(), "{job}");
                back();
                commit(&blank, &committed);
                if goes_on {
                    run.intend(200).unwrap();
                    run.done(200, [(&data, "delete", 3, 0)].into_iter());
                }
                run.end("failed", Some("store")).unwrap();
                assert_eq!(run.totals(), (if goes_on { 10 } else { 7 }, 1));
            }
        }
        let (run, blank) = begin("end");
        run.intend(0).unwrap();
        run.done(1, [(&data, "delete", 7, 1)].into_iter());
        away();
        assert!(run.end("failed", None).is_err());
        back();
        commit(&blank, &[done, end]);
        run.end("failed", None).unwrap();
        let (run, blank) = begin("first");
        away();
        assert!(run.intend(0).is_err());
        back();
        commit(&blank, &[intent(0)]);
        run.end("failed", None).unwrap();
        let found = proof(&memory, &[]);
        assert_eq!(found.verdict(), Verdict::Unanchored, "{:?}", found.findings);
        assert_eq!((found.runs, found.open_runs.len()), (6, 0));
    });
}
