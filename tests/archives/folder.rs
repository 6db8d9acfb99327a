//! The folder of archives: what is ours in it, what is not, and what stops the job.

use std::os::unix::fs::PermissionsExt as _;

use super::bed::{DAYS, Db};
use super::*;

const BATCH: &str = "01939f2e-7a3c-7000-8000-0123456789ab-000001";

/// Whatever an operator leaves there stays, and takes nothing of ours along.
#[test]
fn other_files_stay_and_mean_nothing() {
    let (bed, folder, _shelf) = archiving(Db::Sqlite, "format = \"jsonl.zst\", keep = \"forever\"");
    fill(&bed);
    bed.program(&["run", "audit"]).expect_code(0);
    let written = files(&folder);
    let others = [".expired", "notes.pending", "notes.json.tmp", "0.expired", "old.jsonl.zst.pending", "notes.json"];
    for other in others {
        std::fs::write(folder.join(other), "mine").unwrap();
    }
    bed.program(&["run", "audit"]).expect_code(0);
    bed.program(&["archive", "verify"]).expect_code(0);
    for other in others {
        assert_eq!(std::fs::read_to_string(folder.join(other)).unwrap(), "mine", "{other}");
    }
    assert!(!written.is_empty() && written.iter().all(|file| file.exists()));
    // One that looks like ours and is no manifest stops the job.
    std::fs::write(folder.join(format!("{BATCH}.expired")), "mine").unwrap();
    let output = bed.program(&["run", "audit"]).expect_code(1);
    assert!(output.stderr.contains("no manifest"), "{output:?}");
    assert!(written.iter().all(|file| file.exists()));
}

#[test]
fn a_folder_that_others_may_write_to_is_not_ours() {
    let (bed, folder, _shelf) = archiving(Db::Sqlite, "format = \"jsonl.zst\", keep = \"forever\"");
    fill(&bed);
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let output = bed.program(&["run", "audit"]).expect_code(1);
    assert!(output.stderr.contains("others may write to it"), "{output:?}");
    assert_eq!(bed.number("SELECT COUNT(*) FROM audit;"), 140);
    assert!(files(&folder).is_empty());
}

/// Where nobody knows whether its rows are gone, a pending file stays and the job stops.
#[test]
fn a_pending_file_in_doubt_stays() {
    let (bed, folder, _shelf) = archiving(Db::Sqlite, "format = \"jsonl.zst\", keep = \"forever\"");
    fill(&bed);
    bed.program(&["run", "audit"]).expect_code(0);
    let file = files(&folder).remove(0);
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    let (pending, manifest) = (folder.join(format!("{name}.pending")), folder.join(name.replace("jsonl.zst", "json")));
    std::fs::rename(&file, &pending).unwrap();
    let said = std::fs::read_to_string(&manifest).unwrap();
    for (content, why) in [
        (said.replace("\"store\": \"main\"", "\"store\": \"elsewhere\""), "came from store `elsewhere`"),
        (String::new(), "its manifest is not there"),
    ] {
        if content.is_empty() {
            #[expect(clippy::disallowed_methods, reason = "the manifest that is lost is the case")]
            std::fs::remove_file(&manifest).unwrap();
        } else {
            std::fs::write(&manifest, content).unwrap();
        }
        let output = bed.program(&["run", "audit"]).expect_code(1);
        assert!(output.stderr.contains(why), "{why}: {output:?}");
        assert!(pending.exists());
    }
    std::fs::write(&manifest, said).unwrap();
    bed.program(&["run", "audit"]).expect_code(0);
    assert!(file.exists());
}

/// Every fault is named, the rest is verified, and a run folds all the same and says how much.
#[test]
fn each_fault_is_named_and_hides_no_other() {
    let (bed, folder, _shelf) = archiving(Db::Sqlite, "format = \"jsonl.zst\", keep = \"10 years\"");
    for _ in 0..2 {
        fill(&bed);
        bed.program(&["run", "audit"]).expect_code(0);
    }
    let written = files(&folder);
    let most = written.len();
    assert!(most > 3);
    let manifest = |file: &Path| folder.join(file.file_name().unwrap().to_str().unwrap().replace("jsonl.zst", "json"));
    #[expect(clippy::disallowed_methods, reason = "the files that are lost are the case")]
    {
        std::fs::remove_file(manifest(&written[0])).unwrap();
        std::fs::remove_file(&written[1]).unwrap();
    }
    std::fs::write(manifest(&written[2]), "{}").unwrap();
    let verified = bed.program(&["--format", "json", "archive", "verify"]).expect_code(1).json();
    assert_eq!(
        (&verified["whole"], verified["broken"].as_array().unwrap().len()),
        (&(most - 3).into(), 3),
        "{verified}"
    );
    let list = bed.program(&["archive", "list"]).expect_code(1);
    assert!(list.stderr.contains("its manifest is not there") && list.stderr.contains("its archive is not there"));
    empty_copy(&bed, "restored");
    bed.program(&["archive", "restore", "audit", "--into", "restored"]).expect_code(1);
    fill(&bed);
    let run = bed.program(&["--format", "json", "run", "audit"]).expect_code(1).json();
    assert_eq!(run["jobs"][0]["rows"], 140, "{run}");
    let history = bed.program(&["--format", "json", "history", "audit"]).expect_code(0).json();
    assert_eq!(history["runs"][0]["rows"], 140, "{history}");
    assert_eq!(bed.number("SELECT COUNT(*) FROM audit;"), 0);
}

/// A job that was renamed leaves archives behind; they are shown, and go when the file says whose they were.
#[test]
fn archives_of_a_former_name_are_known_and_expire() {
    let (bed, folder, shelf) = archiving(Db::Sqlite, "format = \"jsonl.zst\", keep = \"300 days\"");
    bed.sql("INSERT INTO audit VALUES (1, datetime('now', '-400 days'), 1, 'r', 'a', 'n', 1, 1);");
    bed.program(&["run", "audit"]).expect_code(0);
    assert_eq!(files(&folder).len(), 1);
    let renamed = |more: &str| {
        bed.rewrite(&format!(
            "{}archive = {{ store = \"archive\", format = \"csv.gz\", keep = \"300 days\"{more} }}\n[stores.archive]\nurl = \"file:{}\"\n",
            DAYS.replace("jobs.audit", "jobs.trace"),
            shelf.path().display()
        ));
    };
    renamed("");
    bed.program(&["run", "trace"]).expect_code(0);
    let check = bed.program(&["check"]).expect_code(0);
    assert!(check.stderr.contains("archives of `audit`, which no job looks after"), "{check:?}");
    assert!(!check.stderr.contains("nothing uses store"), "{check:?}");
    let list = bed.program(&["archive", "list"]).expect_code(0);
    assert!(list.stdout.contains("no job looks after it"), "{list:?}");
    renamed(", formerly = [\"audit\"]");
    let check = bed.program(&["check"]).expect_code(0);
    assert!(!check.stderr.contains("looks after"), "{check:?}");
    bed.program(&["run", "trace"]).expect_code(0);
    assert!(files(&folder).is_empty(), "{:?}", files(&folder));
}

/// SQLite lets one writer in at a time: the trail is not written while a batch has locked the file that it is in.
#[test]
fn the_state_may_lie_in_the_rows_own_file() {
    let (bed, folder, _shelf) = archiving(Db::Sqlite, "format = \"jsonl.zst\", keep = \"forever\"");
    fill(&bed);
    let state = format!("sqlite:{}", bed.project.path("state.db").display());
    let file = std::fs::read_to_string(bed.project.path("jobs.toml")).unwrap().replace(&state, &bed.url);
    bed.project.write_jobs(&file);
    bed.program(&["run", "audit"]).expect_code(0);
    let file = files(&folder).remove(0);
    std::fs::rename(&file, format!("{}.pending", file.display())).unwrap();
    bed.program(&["run", "audit"]).expect_code(0);
    assert!(file.exists());
}
