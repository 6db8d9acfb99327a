//! File stores from outside: an attacker at full speed, real mounts, real kills, two processes.
//!
//! Parts that need a process of their own run this very test binary again, for one test, with `RETENTIOND_TEST_CHILD`
//! set to the folder to work in; without it those tests have nothing to do and say so by passing at once.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene fails")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use retentiond::files::{FileError, FileErrorKind, RelativePath, Root, RootOptions, create_marker};
use retentiond::redact::Sealed;
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};

const CHILD: &str = "RETENTIOND_TEST_CHILD";

fn noon() -> DateTime<Utc> {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn path(text: &str) -> RelativePath {
    RelativePath::parse(&Sealed::new(text.to_owned())).unwrap()
}

/// A folder in memory where there is such a place, for tests that need speed rather than a disk.
fn fast_dir() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn make_store(dir: &Path) -> PathBuf {
    let root = dir.join("recordings");
    fs::create_dir(&root).unwrap();
    create_marker(&root, ".retentiond-store").unwrap();
    root
}

fn open(root: &Path) -> Root {
    Root::open(root, RootOptions::default()).unwrap()
}

/// This test binary, to run one test of it in a process of its own.
fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD, dir);
    command
}

fn child_dir() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// Everything about a tree that an intruder could change: names, kinds, inodes, lengths, times, content.
fn fingerprint(dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let entry = entry.unwrap();
            let meta = fs::symlink_metadata(entry.path()).unwrap();
            let content = if meta.is_file() { fs::read(entry.path()).unwrap() } else { Vec::new() };
            let times = (meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec());
            let facts = (meta.mode(), meta.ino(), meta.nlink(), meta.len());
            lines.push(format!("{:?} {facts:?} {times:?} {content:?}", entry.path()));
            if meta.is_dir() {
                open.push(entry.path());
            }
        }
    }
    lines.sort();
    lines
}

/// An outside tree of the same shape as the store's, so that a followed link would find something to hit.
fn make_outside(dir: &Path) -> PathBuf {
    let outside = dir.join("outside");
    for folder in ["sub", "sub/deep"] {
        fs::create_dir_all(outside.join(folder)).unwrap();
        for n in 0..8 {
            fs::write(outside.join(folder).join(format!("{n}.wav")), "precious").unwrap();
        }
    }
    outside
}

/// Exchanges the folders and one file of the store for links and other things, over and over.
fn attack(root: &Path, outside: &Path, stop: &AtomicBool, swaps: &AtomicU64) {
    let aside = root.join("aside");
    fs::create_dir(&aside).unwrap();
    symlink(outside, aside.join("link")).unwrap();
    symlink(outside.join("sub"), aside.join("deep-link")).unwrap();
    symlink(outside.join("sub/0.wav"), aside.join("file-link")).unwrap();
    mknodat(CWD, aside.join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    fs::create_dir_all(aside.join("folder/sub/deep")).unwrap();
    let pairs = [
        ("link", "a"),
        ("deep-link", "a/sub"),
        ("file-link", "a/sub/0.wav"),
        ("fifo", "a/sub/deep/1.wav"),
        ("folder", "a"),
        ("folder", "a/sub/2.wav"),
    ];
    while !stop.load(Ordering::Relaxed) {
        for (ours, theirs) in pairs {
            for _ in 0..2 {
                let done = renameat_with(CWD, aside.join(ours), CWD, root.join(theirs), RenameFlags::EXCHANGE);
                swaps.fetch_add(u64::from(done.is_ok()), Ordering::Relaxed);
            }
        }
    }
}

/// Puts files into the store while nobody attacks.
fn fill(root: &Path, files: &[String]) {
    for file in files {
        let target = root.join(file);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(&target, "recorded").unwrap();
    }
}

/// One batch through the store under attack; whatever happens must be a refusal or a success.
fn batch_under_attack(root: &Root, number: u64, files: &[String]) -> Result<u64, FileError> {
    let mut trash = root.lock()?;
    let mut batch = trash.begin(&format!("b{number}"))?;
    for file in files {
        batch.plan(path(file));
    }
    match batch.trash_all() {
        Ok(counts) if number.is_multiple_of(2) => {
            batch.commit(noon())?;
            trash.sweep(noon(), TimeDelta::zero())?;
            Ok(counts.moved)
        }
        Ok(counts) => batch.roll_back().map(|_| counts.moved),
        Err(error) => batch.roll_back().and(Err(error)),
    }
}

#[test]
fn an_attacker_who_exchanges_folders_and_links_moves_nothing_outside() {
    let dir = fast_dir();
    let (root_dir, outside) = (make_store(dir.path()), make_outside(dir.path()));
    let files: Vec<String> = ["a/sub", "a/sub/deep"]
        .iter()
        .flat_map(|folder| (0..8).map(move |n| format!("{folder}/{n}.wav")))
        .chain((0..8).map(|n| format!("a/{n}.wav")))
        .collect();
    let before = fingerprint(&outside);
    let root = open(&root_dir);
    let (mut moved, mut refused, mut number, swaps) = (0, 0, 0, AtomicU64::new(0));
    let end = Instant::now() + Duration::from_secs(3);
    // In rounds: the store is made anew, then attacked, so that there is always something to move.
    for round in 0.. {
        if Instant::now() > end {
            break;
        }
        let stop = AtomicBool::new(false);
        if round > 0 {
            renameat_with(
                CWD,
                root_dir.join("aside"),
                CWD,
                dir.path().join(format!("aside{round}")),
                RenameFlags::NOREPLACE,
            )
            .unwrap();
            let _gone = renameat_with(
                CWD,
                root_dir.join("a"),
                CWD,
                dir.path().join(format!("a{round}")),
                RenameFlags::NOREPLACE,
            );
        }
        fill(&root_dir, &files);
        thread::scope(|scope| {
            scope.spawn(|| attack(&root_dir, &outside, &stop, &swaps));
            for _ in 0..100 {
                number += 1;
                match batch_under_attack(&root, number, &files[..1 + usize::try_from(number % 24).unwrap()]) {
                    Ok(count) => moved += count,
                    Err(error) => {
                        assert!(!matches!(error.kind, FileErrorKind::Unreachable), "{error}");
                        assert!(!error.to_string().contains("wav"), "{error}");
                        refused += 1;
                    }
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(fingerprint(&outside), before, "something outside has changed");
    }
    let swaps = swaps.into_inner();
    println!("{number} batches, {moved} files moved, {refused} batches refused, {swaps} exchanges");
    assert!(moved > 100 && refused > 100 && swaps > 1000, "not much of a fight");
}

/// The same attack on the obvious way to do it: that the test above can fail at all.
#[test]
fn the_attack_succeeds_against_plain_renames() {
    let dir = fast_dir();
    let (root, outside) = (make_store(dir.path()), make_outside(dir.path()));
    fill(&root, &["a/sub/3.wav".to_owned()]);
    let before = fingerprint(&outside);
    let (stop, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| attack(&root, &outside, &stop, &swaps));
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end && fingerprint_or_nothing(&outside).as_ref() == Some(&before) {
            for n in 0..8 {
                let _refused = fs::rename(root.join(format!("a/sub/{n}.wav")), root.join("trash.wav"));
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_ne!(fingerprint_or_nothing(&outside), Some(before), "the attack is too weak to prove anything");
}

fn fingerprint_or_nothing(dir: &Path) -> Option<Vec<String>> {
    dir.is_dir().then(|| fingerprint(dir))
}

#[test]
fn a_mount_is_never_crossed() {
    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (make_store(dir.path()), make_outside(dir.path()));
    fs::create_dir(root.join("mnt")).unwrap();
    fs::create_dir(root.join("tmpfs")).unwrap();
    fs::write(root.join("file.wav"), "covered").unwrap();
    let before = fingerprint(&outside);
    let script = r#"
        mount --bind "$OUTSIDE" "$ROOT/mnt" &&
        mount --bind "$OUTSIDE/sub/0.wav" "$ROOT/file.wav" &&
        mount -t tmpfs none "$ROOT/tmpfs" && echo x > "$ROOT/tmpfs/x.wav" &&
        exec "$EXE" --exact child_meets_mounts --nocapture"#;
    // A user without privileges gets a namespace of its own; where even that is forbidden the test fails.
    let namespace: &[&str] = if rustix::process::geteuid().is_root() { &["-m"] } else { &["-rm"] };
    let output = Command::new("unshare")
        .args(namespace)
        .args(["sh", "-c", script])
        .env("ROOT", &root)
        .env("OUTSIDE", &outside)
        .env("EXE", std::env::current_exe().unwrap())
        .env(CHILD, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("the mounts were met"), "{said}");
    assert_eq!(fingerprint(&outside), before);
    assert_eq!(fs::read_to_string(root.join("file.wav")).unwrap(), "covered");
}

#[test]
fn child_meets_mounts() {
    let Some(dir) = child_dir() else { return };
    let root_dir = dir.join("recordings");
    assert_eq!(fs::read_to_string(root_dir.join("file.wav")).unwrap(), "precious", "nothing is mounted");
    let root = open(&root_dir);
    for file in ["mnt/sub/0.wav", "mnt/none.wav", "file.wav", "tmpfs/x.wav"] {
        assert_eq!(root.stat(&path(file)).err().map(|error| error.kind), Some(FileErrorKind::Refused), "{file}");
        let mut trash = root.lock().unwrap();
        let mut batch = trash.begin("b").unwrap();
        batch.plan(path(file));
        assert_eq!(batch.trash_all().err().map(|error| error.kind), Some(FileErrorKind::Refused), "{file}");
        batch.roll_back().unwrap();
    }
    // A mount over the store itself: what was opened stays what it was; opened anew it is not proved.
    let mounted = Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&root_dir).status().unwrap();
    assert!(mounted.success());
    assert!(root.stat(&path("none.wav")).unwrap().is_none() && root.lock().is_ok());
    let error = Root::open(&root_dir, RootOptions::default()).err();
    assert_eq!(error.map(|error| error.kind), Some(FileErrorKind::Unreachable));
    println!("the mounts were met");
}

/// Rows and ledger of the child's "database": one file each, appended and made durable in one write.
fn ledger(dir: &Path) -> Vec<String> {
    fs::read_to_string(dir.join("ledger")).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn recover(dir: &Path, root: &Root) {
    let known = ledger(dir);
    let trash = root.lock().unwrap();
    let recovery = trash.recover(noon(), |batch| Ok::<_, ()>(known.iter().any(|known| known == batch))).unwrap();
    assert_eq!(recovery.conflicts, 0);
}

const BATCHES: u32 = 60;
const FILES_A_BATCH: u32 = 7;

fn file_of(batch: u32, n: u32) -> String {
    format!("{:02}/{batch}-{n}.wav", (batch + n) % 5)
}

/// Purges all that is left, batch by batch, until it is killed.
#[test]
fn child_purges() {
    let Some(dir) = child_dir() else { return };
    let root = open(&dir.join("recordings"));
    recover(&dir, &root);
    let done = ledger(&dir);
    for number in 0..BATCHES {
        let id = format!("batch-{number}");
        if done.contains(&id) {
            continue;
        }
        let mut trash = root.lock().unwrap();
        let mut batch = trash.begin(&id).unwrap();
        for n in 0..FILES_A_BATCH {
            batch.plan(path(&file_of(number, n)));
        }
        assert_eq!(batch.trash_all().unwrap().moved, u64::from(FILES_A_BATCH));
        // Every fifth transaction fails; its batch is tried again by the next process.
        if number % 5 == 4 && std::env::var_os("FAILS").is_some() {
            batch.roll_back().unwrap();
            continue;
        }
        let mut file = fs::OpenOptions::new().append(true).create(true).open(dir.join("ledger")).unwrap();
        file.write_all(format!("{id}\n").as_bytes()).unwrap();
        file.sync_all().unwrap();
        batch.commit(noon()).unwrap();
        if number % 3 == 0 {
            trash.sweep(noon(), TimeDelta::zero()).unwrap();
        }
    }
}

#[test]
fn killed_at_random_moments_a_purge_loses_nothing_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let root_dir = make_store(dir.path());
    let files: Vec<String> = (0..BATCHES).flat_map(|b| (0..FILES_A_BATCH).map(move |n| file_of(b, n))).collect();
    fill(&root_dir, &files);
    fill(&root_dir, &["keep/a.wav".to_owned()]);
    let (mut kills, mut wait) = (0, 1);
    loop {
        let mut process = child("child_purges", dir.path());
        let mut process = process.env("FAILS", "1").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait = (wait * 7 + 3) % 31;
        thread::sleep(Duration::from_millis(4 + wait));
        process.kill().unwrap();
        let ended = process.wait().unwrap();
        kills += u32::from(!ended.success());
        check_rows_and_files(dir.path(), &root_dir, false);
        // Four of five batches are all that this child ever does.
        if ended.success() || kills == 120 {
            break;
        }
    }
    assert!(kills >= 5, "only {kills} kills");
    let last = child("child_purges", dir.path()).output().unwrap();
    assert!(last.status.success(), "{}", String::from_utf8_lossy(&last.stdout));
    recover(dir.path(), &open(&root_dir));
    check_rows_and_files(dir.path(), &root_dir, true);
    let swept = open(&root_dir).lock().unwrap().sweep(noon(), TimeDelta::zero()).unwrap();
    println!("{kills} kills, {} files in the last sweep", swept.files);
    assert_eq!(fs::read_dir(root_dir.join(".retentiond-trash")).unwrap().count(), 0);
    assert_eq!(ledger(dir.path()).len(), usize::try_from(BATCHES).unwrap());
    assert_eq!(fs::read_to_string(root_dir.join("keep/a.wav")).unwrap(), "recorded");
}

/// No file without its row in place, and no row whose file is neither in place nor in the trash.
fn check_rows_and_files(dir: &Path, root: &Path, settled: bool) {
    let gone = ledger(dir);
    for batch in 0..BATCHES {
        let id = format!("batch-{batch}");
        let known = gone.contains(&id);
        for n in 0..FILES_A_BATCH {
            let in_place = root.join(file_of(batch, n)).exists();
            let in_trash = root.join(format!(".retentiond-trash/{id}/{n}")).exists();
            assert!(!(in_place && known), "{id}: a file whose row is gone is in its place");
            assert!(in_place ^ in_trash || known, "{id}: a file whose row is there is lost or doubled");
            assert!(!settled || known || in_place, "{id}: a file was not put back");
        }
    }
}

#[test]
fn two_processes_do_not_hold_one_trash() {
    let dir = tempfile::tempdir().unwrap();
    let root_dir = make_store(dir.path());
    let root = open(&root_dir);
    let held = root.lock().unwrap();
    let refused = child("child_locks", dir.path()).env("EXPECT", "conflict").output().unwrap();
    assert!(refused.status.success(), "{}", String::from_utf8_lossy(&refused.stdout));
    drop(held);
    let mut holder = child("child_locks", dir.path()).env("EXPECT", "granted").stdout(Stdio::null()).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while !dir.path().join("granted").exists() && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(root.lock().err().map(|error| error.kind), Some(FileErrorKind::Conflict));
    // A holder that is killed holds nothing any more.
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(root.lock().is_ok());
}

#[test]
fn child_locks() {
    let Some(dir) = child_dir() else { return };
    let lock = open(&dir.join("recordings")).lock();
    if std::env::var("EXPECT").unwrap() == "conflict" {
        assert_eq!(lock.err().map(|error| error.kind), Some(FileErrorKind::Conflict));
        return;
    }
    let _held = lock.unwrap();
    fs::write(dir.join("granted"), "").unwrap();
    thread::sleep(Duration::from_secs(60));
}

const PIECES: [&str; 28] = [
    "..",
    ".",
    "/",
    "//",
    "l",
    "s",
    "u",
    "outside",
    "sub",
    "0.wav",
    "etc",
    "passwd",
    "proc",
    "self",
    "\0",
    "\\",
    "%2e%2e",
    " ",
    "\n",
    "é",
    "\u{202e}",
    ":",
    "file:",
    "C:",
    "~",
    "recordings",
    "fd",
    "3",
];

/// Texts of all kinds through the real system: whatever is accepted is looked up, and nothing outside is ever found.
#[test]
fn hostile_paths_find_nothing_outside() {
    let dir = fast_dir();
    let (root_dir, outside) = (make_store(dir.path()), make_outside(dir.path()));
    symlink(&outside, root_dir.join("l")).unwrap();
    symlink("/", root_dir.join("s")).unwrap();
    symlink("..", root_dir.join("u")).unwrap();
    let before = fingerprint(&outside);
    let root = open(&root_dir);
    let (mut seed, mut accepted) = (0x9E37_79B9_7F4A_7C15_u64, Vec::new());
    let mut draw = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % u64::try_from(below).unwrap()).unwrap()
    };
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..=draw(7) {
            text.push_str(PIECES[draw(PIECES.len())]);
            if draw(2) == 0 {
                text.push('/');
            }
        }
        if let Ok(path) = RelativePath::parse(&Sealed::new(text.clone())) {
            let found = root.stat(&path);
            assert!(!matches!(found, Ok(Some(_))), "found {text:?}");
            accepted.push(path);
        }
    }
    assert!(accepted.len() > 1000, "only {} were tried", accepted.len());
    let mut trash = root.lock().unwrap();
    for (number, path) in accepted.into_iter().take(5000).enumerate() {
        let mut batch = trash.begin(&format!("b{number}")).unwrap();
        batch.plan(path);
        if let Ok(counts) = batch.trash_all() {
            assert_eq!(counts.moved, 0);
        }
        batch.roll_back().unwrap();
    }
    assert_eq!(fingerprint(&outside), before);
}
