//! The daemon's checkpoints leave the host: into a file store and to the auditors.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::Project;
use crate::support::project::signal;

const POLICY: &str = "
[state]
url = \"sqlite:{dir}/state.db\"
[mail]
smtp = \"file:{dir}/mail\"
alerts = [\"ops@example.org\"]
from = \"Data protection <privacy@example.org>\"
[trail]
origin = \"example.org/retentiond\"
mail_to = [\"auditor@example.org\"]
store = \"archive\"
[stores.archive]
url = \"file:{dir}/archive\"
";

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn kinds(project: &Project) -> Vec<String> {
    let json = project.run(&["audit", "show", "--format", "json"]).expect_code(0).json();
    json["records"].as_array().unwrap().iter().map(|record| record["type"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn checkpoints_leave_the_host() {
    let project = Project::new(POLICY);
    for folder in ["mail", "archive"] {
        std::fs::create_dir(project.path(folder)).unwrap();
    }
    project.run(&["init", "archive"]).expect_code(0);
    let mut serve = project.command(&["serve", "--socket", "control.sock"]);
    let mut daemon = serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mail = wait_for("a mail to the auditors", || {
        let entry = std::fs::read_dir(project.path("mail")).unwrap().find_map(Result::ok)?;
        std::fs::read_to_string(entry.path()).ok().filter(|text| text.contains("audit verify"))
    });
    assert!(mail.contains("To: auditor@example.org") && mail.contains("checkpoint of the audit trail"), "{mail}");
    project.run(&["reload", "--socket", "control.sock"]).expect_code(0);
    signal(&mut daemon, rustix::process::Signal::TERM);
    assert!(daemon.wait().unwrap().success());
    assert_eq!(kinds(&project)[..3], ["boot", "config.load", "key.use"]);
    assert!(kinds(&project).iter().filter(|kind| *kind == "config.load").count() >= 2, "a reload is recorded");
    let kept = project.path("archive/retentiond-checkpoints");
    assert!(std::fs::read_dir(&kept).unwrap().count() > 0, "the file store has a checkpoint");
    let proof = project.run(&["audit", "verify", "--format", "json"]).expect_code(0).json();
    assert_eq!((&proof["verdict"], &proof["trail"]), (&Value::from("proved"), &Value::from("example.org/retentiond")));
    // What did not reach the store is written there later.
    std::fs::rename(&kept, project.path("gone")).unwrap();
    let mut serve = project.command(&["serve", "--socket", "control.sock"]);
    let mut daemon = serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("a checkpoint in the store", || std::fs::read_dir(&kept).ok()?.find_map(Result::ok));
    signal(&mut daemon, rustix::process::Signal::TERM);
    assert!(daemon.wait().unwrap().success());
    // The file's name for the trail cannot be changed any more.
    project.write_jobs(&POLICY.replace("example.org/retentiond", "example.org/other"));
    project.run(&["audit", "verify"]).expect_code(3);
}

#[test]
fn a_trail_that_is_signed_no_more_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = Project::new(POLICY);
    for folder in ["mail", "archive"] {
        std::fs::create_dir(project.path(folder)).unwrap();
    }
    project.run(&["init", "archive"]).expect_code(0);
    let served = |wanted: &str| {
        let mut serve = project.command(&["serve", "--socket", "control.sock"]);
        let mut daemon = serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for(wanted, || {
            let mails = std::fs::read_dir(project.path("mail")).unwrap().map(|entry| entry.unwrap().path());
            mails.map(|mail| std::fs::read_to_string(mail).unwrap()).find(|text| text.contains(wanted))
        });
        signal(&mut daemon, rustix::process::Signal::TERM);
        assert!(daemon.wait().unwrap().success());
        let status = project.run(&["status", "--format", "json", "--socket", "control.sock"]);
        status.json()["trail_trouble"]["why"].as_str().map(str::to_owned)
    };
    assert_eq!(served("audit verify"), None);
    let key = project.path("trail.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let why = served("the audit trail is wrong").unwrap();
    assert!(why.contains("others may read it"), "{why}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(served("the audit trail is well again"), None);
}

#[test]
fn mistakes_in_the_section_are_shown() {
    let project = Project::new(
        "[state]\nurl = \"sqlite:{dir}/state.db\"\n[trail]\norigin = \"a+b\"\nmail_to = [\"auditor@example.org\"]\nstore = \"archive\"\nkep = \"1 year\"\n",
    );
    let said = project.run(&["check"]).expect_code(3).stderr;
    for part in ["unknown key `kep`", "did you mean `keep`"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    project.write_jobs(
        "[state]\nurl = \"sqlite:{dir}/state.db\"\n[trail]\norigin = \"a+b\"\nmail_to = [\"auditor@example.org\"]\nstore = \"archive\"\n",
    );
    let said = project.run(&["check"]).expect_code(3).stderr;
    for part in ["cannot be the name of a trail", "there is no store `archive`", "there is no [mail]"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    project.write_jobs(
        "[state]\nurl = \"sqlite:{dir}/state.db\"\n[mail]\nsmtp = \"file:/tmp\"\nfrom = \"a@example.org\"\n[trail]\nmail_to = [\"auditor@example.org\", \"nobody\"]\n",
    );
    let said = project.run(&["check"]).expect_code(3).stderr;
    assert!(said.contains(":7:") && said.contains("\"nobody\""), "{said}");
}
