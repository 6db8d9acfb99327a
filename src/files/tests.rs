//! The ordinary life of a batch, and what must be refused.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use rustix::fs::{AtFlags, CWD, FileType, Mode, unlinkat};

use super::*;
use crate::redact::Sealed;

/// A store in a folder of its own, beside a folder that nothing may touch.
struct Store {
    _dir: tempfile::TempDir,
    root: PathBuf,
    outside: PathBuf,
}

fn store() -> Store {
    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (dir.path().join("recordings"), dir.path().join("outside"));
    for made in [&root, &outside] {
        fs::create_dir(made).unwrap();
    }
    fs::write(outside.join("a.wav"), "not ours").unwrap();
    assert!(create_marker(&root, ".retentiond-store").unwrap());
    Store { _dir: dir, root, outside }
}

impl Store {
    fn open(&self) -> Root {
        Root::open(&self.root, RootOptions::default()).unwrap()
    }

    fn put(&self, path: &str, content: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn has(&self, path: &str) -> bool {
        fs::symlink_metadata(self.root.join(path)).is_ok()
    }

    fn trash_is_empty(&self) -> bool {
        fs::read_dir(self.root.join(".retentiond-trash")).unwrap().count() == 0
    }
}

fn path(text: &str) -> RelativePath {
    RelativePath::parse(&Sealed::new(text.to_owned())).unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn noon() -> DateTime<Utc> {
    at("2026-11-23T12:00:00Z")
}

fn kind<T>(result: Result<T, FileError>) -> Option<FileErrorKind> {
    result.err().map(|error| error.kind)
}

fn never(_: &str) -> Result<bool, ()> {
    panic!("nothing is open, so nothing is asked")
}

#[test]
fn files_move_to_the_trash_and_go_after_the_grace() {
    let store = store();
    for (file, content) in [("2024/01/a.wav", "aaaa"), ("2024/02/b.wav", "bb"), ("c.wav", "c"), ("keep.wav", "k")] {
        store.put(file, content);
    }
    let mut trash = store.open().lock().unwrap();
    let mut batch = trash.begin("0198-abc_Z").unwrap();
    for file in ["2024/01/a.wav", "gone/x.wav", "c.wav", "2024/02/b.wav", "gone.wav", "c.wav"] {
        batch.plan(path(file));
    }
    assert_eq!(batch.trash_all().unwrap(), TrashCounts { moved: 3, missing: 2, linked: 0 });
    assert!(!store.has("2024/01/a.wav") && !store.has("c.wav") && store.has("keep.wav"));
    let folder = store.root.join(".retentiond-trash/0198-abc_Z");
    assert_eq!(fs::metadata(folder.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(folder.join("intent")).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(folder.join("0")).unwrap(), "aaaa");
    batch.commit(noon()).unwrap();
    assert_eq!(trash.recover(noon(), never).unwrap(), Recovery::default());
    let swept = trash.sweep(noon() + TimeDelta::days(1), TimeDelta::days(1)).unwrap();
    assert_eq!(swept, Swept { files: 3, bytes: 7, batches: 1, linked: 0 });
    assert!(store.trash_is_empty() && store.has("keep.wav"));
}

#[test]
fn the_grace_is_honoured_to_the_nanosecond() {
    let store = store();
    store.put("a.wav", "a");
    let committed = at("2026-03-29T00:59:59.123456789Z");
    let mut trash = store.open().lock().unwrap();
    let mut batch = trash.begin("b").unwrap();
    batch.plan(path("a.wav"));
    batch.trash_all().unwrap();
    let grace = TimeDelta::hours(24);
    assert_eq!(trash_files(&store), 1);
    batch.commit(committed).unwrap();
    for early in [committed - TimeDelta::days(400), committed, committed + grace - TimeDelta::nanoseconds(1)] {
        assert_eq!(trash.sweep(early, grace).unwrap(), Swept::default(), "{early}");
        assert_eq!(trash_files(&store), 1);
    }
    assert_eq!(trash.sweep(committed + grace, TimeDelta::MAX).unwrap(), Swept::default());
    assert_eq!(kind(trash.sweep(committed + grace, TimeDelta::nanoseconds(-1))), Some(FileErrorKind::Refused));
    assert_eq!(trash.sweep(committed + grace, grace).unwrap().files, 1);
    assert_eq!(trash.sweep(committed + grace + TimeDelta::days(1), grace).unwrap(), Swept::default());
    assert!(store.trash_is_empty());
}

fn trash_files(store: &Store) -> usize {
    let batches = fs::read_dir(store.root.join(".retentiond-trash")).unwrap();
    let entries = batches.flat_map(|batch| fs::read_dir(batch.unwrap().path()).unwrap());
    entries.filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().parse::<usize>().is_ok()).count()
}

#[test]
fn a_batch_that_is_rolled_back_leaves_no_trace() {
    let store = store();
    store.put("2024/a.wav", "a");
    store.put("b.wav", "b");
    let inode = fs::metadata(store.root.join("b.wav")).unwrap().ino();
    fs::set_permissions(store.root.join("2024"), fs::Permissions::from_mode(0o2750)).unwrap();
    let mut trash = store.open().lock().unwrap();
    let mut batch = trash.begin("b").unwrap();
    batch.plan(path("2024/a.wav"));
    batch.plan(path("b.wav"));
    batch.trash_all().unwrap();
    // The recorder tidies the empty folder away meanwhile; what was in it comes back all the same.
    unlinkat(CWD, store.root.join("2024"), AtFlags::REMOVEDIR).unwrap();
    assert_eq!(batch.roll_back().unwrap(), Restored { restored: 2, conflicts: 0 });
    assert_eq!(fs::read_to_string(store.root.join("2024/a.wav")).unwrap(), "a");
    assert_eq!(fs::metadata(store.root.join("b.wav")).unwrap().ino(), inode);
    assert!(store.trash_is_empty());
}

#[test]
fn a_place_that_is_taken_is_never_overwritten() {
    let store = store();
    store.put("a.wav", "old");
    store.put("b.wav", "b");
    store.put("d/c.wav", "c");
    let mut trash = store.open().lock().unwrap();
    let mut batch = trash.begin("b1").unwrap();
    for file in ["a.wav", "b.wav", "d/c.wav"] {
        batch.plan(path(file));
    }
    batch.trash_all().unwrap();
    drop(batch);
    store.put("a.wav", "new");
    unlinkat(CWD, store.root.join("d"), AtFlags::REMOVEDIR).unwrap();
    symlink(&store.outside, store.root.join("d")).unwrap();
    let recovery = trash.recover(noon(), |_| Ok::<_, ()>(false)).unwrap();
    let conflicting = vec!["b1".to_owned()];
    assert_eq!(recovery, Recovery { committed: 0, restored: 1, conflicts: 2, conflicting });
    assert_eq!(fs::read_to_string(store.root.join("a.wav")).unwrap(), "new");
    assert!(!store.outside.join("c.wav").exists());
    assert_eq!(trash.sweep(noon() + TimeDelta::days(9999), TimeDelta::zero()).unwrap(), Swept::default());
    // Once the places are free the next recovery ends it.
    for taken in ["a.wav", "d"] {
        unlinkat(CWD, store.root.join(taken), AtFlags::empty()).unwrap();
    }
    assert_eq!(trash.recover(noon(), |_| Ok::<_, ()>(false)).unwrap().restored, 2);
    assert_eq!(fs::read_to_string(store.root.join("a.wav")).unwrap(), "old");
    assert_eq!(fs::read_to_string(store.root.join("d/c.wav")).unwrap(), "c");
    assert!(store.trash_is_empty());
}

#[test]
fn an_open_batch_is_what_the_ledger_says() {
    let store = store();
    store.put("a.wav", "a");
    store.put("b.wav", "b");
    for (batch, file) in [("known", "a.wav"), ("unknown", "b.wav")] {
        let mut trash = store.open().lock().unwrap();
        let mut batch = trash.begin(batch).unwrap();
        batch.plan(path(file));
        batch.trash_all().unwrap();
    }
    let mut trash = store.open().lock().unwrap();
    assert_eq!(kind(trash.begin("known").map(drop)), Some(FileErrorKind::Conflict));
    assert!(matches!(trash.recover(noon(), |_| Err("no answer")), Err(RecoverError::Ledger("no answer"))));
    assert!(!store.has("a.wav") && !store.has("b.wav"), "without an answer nothing is done");
    let mut asked = Vec::new();
    let recovery = trash.recover(noon(), |batch| {
        asked.push(batch.to_owned());
        Ok::<_, ()>(batch == "known")
    });
    assert_eq!(recovery.unwrap(), Recovery { committed: 1, restored: 1, ..Recovery::default() });
    assert_eq!(asked, ["known", "unknown"]);
    assert!(!store.has("a.wav") && store.has("b.wav"));
    assert_eq!(trash.sweep(noon(), TimeDelta::zero()).unwrap().files, 1);
}

#[test]
fn only_regular_files_beneath_the_root_are_touched() {
    let store = store();
    store.put("dir/a.wav", "a");
    store.put("dir/b.wav", "b");
    symlink(&store.outside, store.root.join("link")).unwrap();
    symlink(store.outside.join("a.wav"), store.root.join("link.wav")).unwrap();
    symlink("dir", store.root.join("inner")).unwrap();
    rustix::fs::mknodat(CWD, store.root.join("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let root = store.open();
    for (text, why) in [
        ("dir", FileErrorKind::NotAFile),
        ("fifo", FileErrorKind::NotAFile),
        ("link.wav", FileErrorKind::NotAFile),
        ("link", FileErrorKind::NotAFile),
        ("link/a.wav", FileErrorKind::Refused),
        ("inner/a.wav", FileErrorKind::Refused),
        ("dir/a.wav/x", FileErrorKind::NotAFile),
        ("fifo/x", FileErrorKind::NotAFile),
    ] {
        assert_eq!(kind(root.stat(&path(text))), Some(why), "{text}");
        let mut trash = root.lock().unwrap();
        let mut batch = trash.begin("b").unwrap();
        batch.plan(path("dir/b.wav"));
        let number = batch.plan(path(text));
        let error = batch.trash_all().unwrap_err();
        assert_eq!((error.kind, error.file), (why, Some(number)), "{text}");
        assert!(!error.to_string().contains("wav"), "{error}");
        assert_eq!(batch.roll_back().unwrap(), Restored { restored: 1, conflicts: 0 });
        assert!(store.trash_is_empty() && store.has("dir/b.wav") && store.has(text.trim_end_matches("/x")), "{text}");
    }
    assert_eq!(root.stat(&path("dir/none.wav")).unwrap(), None);
    assert_eq!(root.stat(&path("none/none.wav")).unwrap(), None);
    assert_eq!(root.stat(&path("dir/a.wav")).unwrap(), Some(FileFacts { bytes: 1, links: 1 }));
    assert_eq!(fs::read_to_string(store.outside.join("a.wav")).unwrap(), "not ours");
}

#[test]
fn a_batch_that_failed_cannot_be_committed() {
    let store = store();
    store.put("a.wav", "a");
    fs::create_dir(store.root.join("dir")).unwrap();
    let mut trash = store.open().lock().unwrap();
    let mut batch = trash.begin("b").unwrap();
    batch.plan(path("a.wav"));
    batch.plan(path("dir"));
    assert!(batch.trash_all().is_err());
    assert_eq!(kind(batch.trash_all()), Some(FileErrorKind::Refused));
    assert_eq!(kind(batch.commit(noon())), Some(FileErrorKind::Refused));
    let mut batch = trash.begin("c").unwrap();
    batch.plan(path("a.wav"));
    assert_eq!(kind(batch.commit(noon())), Some(FileErrorKind::Refused));
    let mut empty = trash.begin("d").unwrap();
    assert_eq!(empty.trash_all().unwrap(), TrashCounts::default());
    empty.commit(noon()).unwrap();
    assert_eq!(trash.recover(noon(), |_| Ok::<_, ()>(false)).unwrap().restored, 1);
    assert!(store.has("a.wav") && store.trash_is_empty());
}

#[test]
fn hard_links_are_counted_since_their_content_stays() {
    let store = store();
    store.put("a.wav", "aaaa");
    fs::hard_link(store.root.join("a.wav"), store.outside.join("copy.wav")).unwrap();
    let root = store.open();
    assert_eq!(root.stat(&path("a.wav")).unwrap(), Some(FileFacts { bytes: 4, links: 2 }));
    let mut trash = root.lock().unwrap();
    let mut batch = trash.begin("b").unwrap();
    batch.plan(path("a.wav"));
    assert_eq!(batch.trash_all().unwrap(), TrashCounts { moved: 1, missing: 0, linked: 1 });
    batch.commit(noon()).unwrap();
    let swept = trash.sweep(noon(), TimeDelta::zero()).unwrap();
    assert_eq!(swept, Swept { files: 1, bytes: 0, batches: 1, linked: 1 });
    assert_eq!(fs::read_to_string(store.outside.join("copy.wav")).unwrap(), "aaaa");
}

#[test]
fn the_marker_and_the_trash_are_no_files_of_the_store() {
    let store = store();
    fs::write(store.root.join("store.id"), "x").unwrap();
    let options = RootOptions { marker: "store.id".into(), trash: "removed".into() };
    let root = Root::open(&store.root, options).unwrap();
    let mut trash = root.lock().unwrap();
    for own in ["store.id", "STORE.ID", "removed", "removed/b/0", "Removed/b/0"] {
        assert_eq!(kind(root.stat(&path(own))), Some(FileErrorKind::Refused), "{own}");
        let mut batch = trash.begin("b").unwrap();
        batch.plan(path(own));
        assert_eq!(kind(batch.trash_all()), Some(FileErrorKind::Refused), "{own}");
        batch.roll_back().unwrap();
    }
    // Another name for the very same file is found out by its inode.
    fs::hard_link(store.root.join("store.id"), store.root.join("alias")).unwrap();
    assert_eq!(kind(root.stat(&path("alias"))), Some(FileErrorKind::Refused));
}

#[test]
fn a_root_that_is_not_proved_is_unreachable() {
    let store = store();
    let open = |dir: &Path| kind(Root::open(dir, RootOptions::default()));
    assert_eq!(open(&store.root.join("missing")), Some(FileErrorKind::Unreachable));
    assert_eq!(open(&store.root.join(".retentiond-store")), Some(FileErrorKind::Unreachable));
    assert_eq!(open(&store.outside), Some(FileErrorKind::Unreachable));
    for refused in ["/", "//", "/tmp/..", "/proc/self/root", "relative", ""] {
        assert_eq!(open(Path::new(refused)), Some(FileErrorKind::Refused), "{refused:?}");
    }
    fs::create_dir(store.outside.join(".retentiond-store")).unwrap();
    assert_eq!(open(&store.outside), Some(FileErrorKind::Refused), "a marker is a file");
    unlinkat(CWD, store.outside.join(".retentiond-store"), AtFlags::REMOVEDIR).unwrap();
    symlink(store.root.join(".retentiond-store"), store.outside.join(".retentiond-store")).unwrap();
    assert_eq!(open(&store.outside), Some(FileErrorKind::Refused), "a marker is no link");
    for name in ["", ".", "..", "a/b", "/", "a\0b"] {
        let bad = RootOptions { marker: name.into(), ..RootOptions::default() };
        assert_eq!(kind(Root::open(&store.root, bad)), Some(FileErrorKind::Refused), "{name:?}");
        let bad = RootOptions { trash: name.into(), ..RootOptions::default() };
        assert_eq!(kind(Root::open(&store.root, bad)), Some(FileErrorKind::Refused), "{name:?}");
    }
    assert!(!store.has(".retentiond-trash"), "opening changes nothing");
    // The disk goes away between opening and the batch.
    let root = store.open();
    unlinkat(CWD, store.root.join(".retentiond-store"), AtFlags::empty()).unwrap();
    assert_eq!(kind(root.lock().map(drop)), Some(FileErrorKind::Unreachable));
}

#[test]
fn an_identity_belongs_to_one_store() {
    let (one, other) = (store(), store());
    assert_ne!(one.open().identity(), other.open().identity());
    let before = one.open().identity();
    assert!(before.starts_with("files:") && before.split(':').count() == 4, "{before}");
    assert!(!create_marker(&one.root, ".retentiond-store").unwrap(), "a marker stays as it is");
    assert_eq!(one.open().identity(), before);
    symlink(&one.root, one.outside.join("way-in")).unwrap();
    let through = Root::open(&one.outside.join("way-in"), RootOptions::default()).unwrap();
    assert_eq!(through.identity(), before, "a link on the way to the root is the operator's own");
    fs::write(one.root.join(".retentiond-store"), "another").unwrap();
    assert_ne!(one.open().identity(), before);
}

#[test]
fn the_trash_has_one_holder_and_is_nobody_elses() {
    let store = store();
    let root = store.open();
    let held = root.lock().unwrap();
    assert_eq!(kind(root.lock().map(drop)), Some(FileErrorKind::Conflict));
    assert_eq!(kind(store.open().lock().map(drop)), Some(FileErrorKind::Conflict));
    drop(held);
    drop(root.lock().unwrap());
    let trash = store.root.join(".retentiond-trash");
    fs::set_permissions(&trash, fs::Permissions::from_mode(0o770)).unwrap();
    assert_eq!(kind(root.lock().map(drop)), Some(FileErrorKind::Refused));
    unlinkat(CWD, &trash, AtFlags::REMOVEDIR).unwrap();
    symlink(&store.outside, &trash).unwrap();
    assert_eq!(kind(root.lock().map(drop)), Some(FileErrorKind::Refused));
    assert!(!store.outside.join("b").exists());
}

#[test]
fn batch_ids_are_plain() {
    let store = store();
    let mut trash = store.open().lock().unwrap();
    let long = "x".repeat(65);
    for bad in ["", ".", "..", "a/b", "a.b", "é", "a b", "a\0", long.as_str()] {
        assert_eq!(kind(trash.begin(bad).map(drop)), Some(FileErrorKind::Refused), "{bad:?}");
    }
    assert!(trash.begin("01981234-89ab-7cde-8f01-23456789abcd").is_ok());
}

#[test]
fn a_manifest_that_was_tampered_with_moves_nothing() {
    for content in [
        "",
        "{",
        "[]",
        r#"{"version":1,"batch":"b","files":[{"path":"../outside/new.wav","name":"0"}]}"#,
        r#"{"version":1,"batch":"b","files":[{"path":"/tmp/new.wav","name":"0"}]}"#,
        r#"{"version":1,"batch":"b","files":[{"path":"x.wav","name":"../../keep.wav"}]}"#,
        r#"{"version":1,"batch":"other","files":[]}"#,
        r#"{"version":2,"batch":"b","files":[]}"#,
    ] {
        let store = store();
        store.put("a.wav", "a");
        store.put("keep.wav", "k");
        let mut trash = store.open().lock().unwrap();
        let mut batch = trash.begin("b").unwrap();
        batch.plan(path("a.wav"));
        batch.trash_all().unwrap();
        drop(batch);
        let folder = store.root.join(".retentiond-trash/b");
        fs::write(folder.join("intent"), content).unwrap();
        let error = trash.recover(noon(), |_| Ok::<_, ()>(false)).unwrap_err();
        assert!(matches!(&error, RecoverError::Files(error) if error.kind == FileErrorKind::Refused), "{content}");
        assert!(!error.to_string().contains("wav"));
        fs::write(folder.join("committed"), r#"{"version":1,"batch":"b","at":"2020-01-01T00:00:00Z"}"#).unwrap();
        assert!(trash.sweep(noon(), TimeDelta::zero()).is_err(), "{content}");
        assert!(folder.join("0").exists() && store.has("keep.wav"), "{content}");
        assert_eq!(fs::read_dir(&store.outside).unwrap().count(), 1);
    }
}

#[test]
fn what_others_put_into_the_trash_stays_there() {
    let store = store();
    store.put("a.wav", "a");
    let mut trash = store.open().lock().unwrap();
    let mut batch = trash.begin("b").unwrap();
    batch.plan(path("a.wav"));
    batch.trash_all().unwrap();
    batch.commit(noon()).unwrap();
    store.put(".retentiond-trash/note", "x");
    store.put(".retentiond-trash/b/note", "x");
    store.put(".retentiond-trash/strange/0", "x");
    assert_eq!(kind(trash.sweep(noon(), TimeDelta::zero())), Some(FileErrorKind::Refused));
    let recovery = trash.recover(noon(), never).unwrap();
    assert_eq!((recovery.conflicts, recovery.conflicting.len()), (2, 2));
    for left in ["note", "b/note", "strange/0"] {
        assert!(store.has(&format!(".retentiond-trash/{left}")), "{left}");
    }
}

#[test]
fn a_thousand_files_in_many_folders_need_few_descriptors() {
    let store = store();
    let files: Vec<String> = (0..1500).map(|n| format!("{:02}/{n}.wav", n % 700)).collect();
    for file in &files {
        store.put(file, "x");
    }
    let mut trash = store.open().lock().unwrap();
    let mut batch = trash.begin("b").unwrap();
    for (number, file) in files.iter().enumerate() {
        assert_eq!(batch.plan(path(file)), number);
    }
    let open_before = fs::read_dir("/proc/self/fd").unwrap().count();
    assert_eq!(batch.trash_all().unwrap().moved, 1500);
    assert!(fs::read_dir("/proc/self/fd").unwrap().count() < open_before + 100);
    assert_eq!(batch.roll_back().unwrap().restored, 1500);
    assert!(files.iter().all(|file| store.has(file)));
}
