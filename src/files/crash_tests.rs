//! A batch killed, or failed, at every one of its steps, and recoveries killed at every one of theirs.
//!
//! The model: files with and without rows. Whatever happens, a file whose rows are in the database lies in its place
//! with its content; one whose rows are gone never lies there again; and one recovery and one sweep later the trash is
//! empty.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use rustix::fs::{AtFlags, CWD, RenameFlags, renameat_with, unlinkat};
use rustix::io::Errno;

use super::beneath::steps::{self, Fault};
use super::*;
use crate::redact::Sealed;

const FILES: [(&str, &str); 3] = [("2024/01/a.wav", "aaa"), ("2024/02/b.wav", "bb"), ("c.wav", "c")];
const GRACE: TimeDelta = TimeDelta::hours(1);

fn noon() -> DateTime<Utc> {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

/// What the caller does with its transaction.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Database {
    Commits,
    Fails,
}

struct World {
    dir: tempfile::TempDir,
    /// Whether the ledger knows the batch, which is whether the rows are gone.
    ledger: Cell<bool>,
}

impl World {
    fn new() -> Self {
        // In memory where there is such a place: thousands of worlds, each with a dozen fsyncs.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        for (path, content) in FILES {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        fs::write(dir.path().join("keep.wav"), "keep").unwrap();
        fs::write(dir.path().join(".retentiond-store"), "marker").unwrap();
        Self { dir, ledger: Cell::new(false) }
    }

    fn root(&self) -> Root {
        Root::open(self.dir.path(), RootOptions::default()).unwrap()
    }

    /// A run of one batch, from the lock to the sweep, as a job does it.
    fn run(&self, database: Database) -> Result<(), FileError> {
        let mut trash = self.root().lock()?;
        let mut batch = trash.begin("batch")?;
        for (path, _) in FILES.iter().chain(&[("gone.wav", "")]) {
            batch.plan(RelativePath::parse(&Sealed::new((*path).to_owned())).unwrap());
        }
        if let Err(error) = batch.trash_all() {
            batch.roll_back()?;
            return Err(error);
        }
        if database == Database::Fails {
            batch.roll_back()?;
            return Ok(());
        }
        self.ledger.set(true);
        batch.commit(noon())?;
        trash.sweep(noon() + GRACE, GRACE).map(drop)
    }

    fn recover(&self) -> Result<Recovery, RecoverError<()>> {
        self.root().lock()?.recover(noon(), |batch| {
            assert_eq!(batch, "batch");
            Ok(self.ledger.get())
        })
    }

    fn sweep(&self, now: DateTime<Utc>) -> Swept {
        self.root().lock().unwrap().sweep(now, GRACE).unwrap()
    }

    fn in_place(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.dir.path().join(path)).ok()
    }

    /// At any moment: a file is in its place or in the trash, unless its rows are gone.
    fn check_always(&self, when: &str) {
        assert_eq!(self.in_place("keep.wav").as_deref(), Some("keep"), "{when}");
        for (number, (path, content)) in FILES.iter().enumerate() {
            let trashed = self.in_place(&format!(".retentiond-trash/batch/{number}"));
            let found: Vec<_> = self.in_place(path).into_iter().chain(trashed).collect();
            assert!(found.len() == 1 || found.is_empty() && self.ledger.get(), "{when}: {path} is lost or doubled");
            assert!(found.iter().all(|found| found == content), "{when}: {path} has changed");
        }
    }

    /// After a recovery: in place if the rows are there, else not.
    fn check_settled(&self, when: &str) {
        self.check_always(when);
        for (path, _) in FILES {
            assert_eq!(self.in_place(path).is_none(), self.ledger.get(), "{when}: {path}");
        }
        assert_eq!(self.in_place("gone.wav"), None, "{when}");
    }

    fn check_end(&self, when: &str) {
        assert_eq!(self.recover().unwrap().conflicts, 0, "{when}");
        self.check_settled(when);
        self.sweep(noon() + GRACE - TimeDelta::nanoseconds(1));
        self.sweep(noon() + GRACE);
        self.check_settled(when);
        let left = fs::read_dir(self.dir.path().join(".retentiond-trash")).unwrap().count();
        assert_eq!(left, 0, "{when}: the trash is not empty");
        assert_eq!(self.recover().unwrap(), Recovery::default(), "{when}: a second recovery finds something");
    }
}

#[test]
fn a_kill_at_any_step_is_brought_right_by_recovery() {
    for database in [Database::Commits, Database::Fails] {
        let mut killed = 0;
        for step in 1.. {
            let world = World::new();
            let (done, _) = steps::with(Some((step, Fault::Kill)), || world.run(database));
            let when = format!("{database:?}, killed at step {step}");
            world.check_always(&when);
            if let Some(done) = done {
                done.unwrap();
                world.check_end(&when);
                break;
            }
            killed += 1;
            world.check_end(&when);
        }
        assert!(killed > 20, "only {killed} steps");
    }
}

#[test]
fn a_kill_at_any_step_of_a_recovery_is_brought_right_by_the_next() {
    let mut seen = 0;
    for database in [Database::Commits, Database::Fails] {
        for step in 1.. {
            let world = World::new();
            let (done, _) = steps::with(Some((step, Fault::Kill)), || world.run(database));
            if done.is_some() {
                break;
            }
            // The transaction may have committed although the process died before it heard of it.
            for again in 1.. {
                let world = World::new();
                let (done, _) = steps::with(Some((step, Fault::Kill)), || world.run(database));
                assert!(done.is_none());
                let (done, _) = steps::with(Some((again, Fault::Kill)), || world.recover());
                let when = format!("{database:?}, killed at step {step}, recovery at step {again}");
                world.check_always(&when);
                let (third, _) = steps::with(Some((again / 2 + 1, Fault::Kill)), || world.recover());
                world.check_always(&when);
                drop(third);
                world.check_end(&when);
                seen += 1;
                if done.is_some() {
                    break;
                }
            }
        }
    }
    assert!(seen > 300, "only {seen} pairs");
}

#[test]
fn a_commit_that_nobody_heard_of_is_found_in_the_ledger() {
    for ledger in [false, true] {
        let world = World::new();
        let (_, log) = steps::with(None, || {
            let mut trash = world.root().lock().unwrap();
            let mut batch = trash.begin("batch").unwrap();
            for (path, _) in FILES {
                batch.plan(RelativePath::parse(&Sealed::new(path.to_owned())).unwrap());
            }
            batch.trash_all().unwrap();
        });
        assert!(!log.is_empty());
        world.ledger.set(ledger);
        world.check_end(if ledger { "known" } else { "unknown" });
    }
}

#[test]
fn a_failure_at_any_step_reports_no_success_and_loses_nothing() {
    for errno in [Errno::IO, Errno::NOSPC] {
        for (database, lasting) in
            [(Database::Commits, false), (Database::Commits, true), (Database::Fails, false), (Database::Fails, true)]
        {
            for step in 1.. {
                let world = World::new();
                let fault = if lasting { Fault::FromNowOn(errno) } else { Fault::Once(errno) };
                let (done, log) = steps::with(Some((step, fault)), || world.run(database));
                let when = format!("{database:?}, {errno} at step {step}, lasting {lasting}");
                world.check_always(&when);
                if log.len() < step {
                    done.unwrap().unwrap();
                    break;
                }
                assert!(done.unwrap().is_err(), "{when}: reported as done");
                world.check_end(&when);
            }
        }
    }
}

#[test]
fn each_state_is_durable_before_the_next() {
    let world = World::new();
    let (done, log) = steps::with(None, || world.run(Database::Commits));
    done.unwrap().unwrap();
    let durable_file = ["create", "write", "sync file", "rename", "sync dir"];
    let mut expected = vec!["mkdir", "sync dir", "mkdir", "sync dir"];
    expected.extend(durable_file);
    expected.extend(["rename"; 3]);
    // The batch folder, then the three folders that the files came from.
    expected.extend(["sync dir"; 4]);
    expected.extend(durable_file);
    expected.extend(["unlink"; 3]);
    // No manifest goes before its files have, no commit record before its manifest.
    expected.extend(["sync dir", "unlink", "unlink", "unlink", "sync dir", "unlink", "rmdir", "sync dir"]);
    assert_eq!(log, expected);
}

#[test]
fn what_is_exchanged_between_look_and_rename_goes_back() {
    for what in ["folder", "link", "other file"] {
        let world = World::new();
        let dir = world.dir.path().to_owned();
        let (theirs, ours) = (dir.join("theirs"), dir.join(FILES[0].0));
        match what {
            "folder" => fs::create_dir(&theirs).unwrap(),
            "link" => std::os::unix::fs::symlink("keep.wav", &theirs).unwrap(),
            _ => fs::write(&theirs, "theirs").unwrap(),
        }
        let exchange = move || renameat_with(CWD, &theirs, CWD, &ours, RenameFlags::EXCHANGE).unwrap();
        let mut trash = world.root().lock().unwrap();
        let mut batch = trash.begin("batch").unwrap();
        let number = batch.plan(RelativePath::parse(&Sealed::new(FILES[0].0.to_owned())).unwrap());
        let fault = Fault::Meddle(Box::leak(Box::new(exchange)));
        let (done, log) = steps::with(Some((8, fault)), || batch.trash_all());
        assert_eq!(log[7], "rename", "the eighth step is no longer the first move");
        let error = done.unwrap().unwrap_err();
        assert_eq!((error.kind, error.file), (FileErrorKind::Conflict, Some(number)), "{what}");
        assert_eq!(batch.roll_back().unwrap(), Restored::default(), "{what}");
        let back = fs::symlink_metadata(dir.join(FILES[0].0)).unwrap();
        assert_eq!((back.is_dir(), back.is_symlink()), (what == "folder", what == "link"));
        assert_eq!(fs::read_to_string(dir.join("theirs")).unwrap(), FILES[0].1, "{what}");
    }
}

#[test]
fn a_file_is_not_missing_because_the_batch_folder_is() {
    let world = World::new();
    let folder = world.dir.path().join(".retentiond-trash/batch");
    let mut trash = world.root().lock().unwrap();
    let mut batch = trash.begin("batch").unwrap();
    batch.plan(RelativePath::parse(&Sealed::new(FILES[0].0.to_owned())).unwrap());
    let clear = move || {
        unlinkat(CWD, folder.join("intent"), AtFlags::empty()).unwrap();
        unlinkat(CWD, &folder, AtFlags::REMOVEDIR).unwrap();
    };
    let (done, _) = steps::with(Some((8, Fault::Meddle(Box::leak(Box::new(clear))))), || batch.trash_all());
    assert!(done.unwrap().is_err(), "a row would go, and its file would stay");
    batch.roll_back().unwrap();
    world.check_settled("the batch folder was removed");
}
