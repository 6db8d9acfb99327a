//! Stores.

use crate::site::*;

#[test]
fn a_store_without_ledger_is_refused_or_accepted_by_name() {
    for (mut site, time) in [(sqlite(PLAIN), TEXT_TIME), (postgres(PLAIN), TIME), (mariadb(PLAIN), TIME)] {
        let body = entry("orders", time) + JOB;
        let help =
            site.write(&body).check().error("store `shop` does not have retentiond's tables yet", "[stores.shop]");
        assert!(help.contains("`retentiond init shop`"), "{help}");
        let store = format!("[stores.shop]\nurl = \"{}\"\nledger = false\n", site.url);
        let help = site.write_with(&store, &body).check().warning("store `shop` has no ledger", "[stores.shop]");
        assert!(help.contains("only one daemon may run"), "{help}");
        assert_eq!(site.run().0, 0);
        assert_eq!(site.ask("SELECT count(*) FROM orders"), "0");
    }
}

/// What `check` says when it cannot begin.
fn not_begun(site: &Site, code: i32, message: &str) {
    let answer = site.check();
    assert_eq!(answer.code, code, "{}", answer.stderr);
    let said = answer.findings[0]["message"].as_str().unwrap();
    assert!(said.matches("store `shop`").count() == 1 && said.contains(message), "{said}");
}

#[test]
fn a_database_that_is_not_the_pinned_one_is_refused() {
    for (mut site, time) in [(sqlite(PLAIN), TEXT_TIME), (postgres(PLAIN), TIME), (mariadb(PLAIN), TIME)] {
        let body = entry("orders", time) + JOB;
        site.write(&body).init();
        let output = site.retentiond(&["--format", "json", "check"]);
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let identity = answer["stores"][0]["identity"].as_str().unwrap().to_owned();
        let pinned = |identity: &str| format!("[stores.shop]\nurl = \"{}\"\nidentity = \"{identity}\"\n", site.url);
        let (right, wrong) = (pinned(&identity), pinned(&format!("{identity}-other")));
        site.write_with(&right, &body).check().passes();
        site.write_with(&wrong, &body);
        not_begun(&site, 5, &format!("this is `{identity}`, and the file pins `{identity}-other`"));
        let run = site.retentiond(&["run", "--all"]);
        assert_eq!(run.status.code(), Some(5));
        assert_eq!(site.ask("SELECT count(*) FROM orders"), "1");
    }
}

#[test]
fn addresses_that_lead_nowhere_are_refused_and_nothing_is_created() {
    let mut site = sqlite(PLAIN);
    let body = entry("orders", TEXT_TIME) + JOB;
    let folder = site.folder.path().to_owned();
    let store = |url: &str| format!("[stores.shop]\nurl = \"{url}\"\n");
    let missing = folder.join("typo.db");
    site.write_with(&store(&format!("sqlite:{}", missing.display())), &body);
    not_begun(&site, 5, "typo.db");
    for command in [&["init", "shop"][..], &["plan"], &["run", "--all"]] {
        assert_eq!(site.retentiond(command).status.code(), Some(5), "{command:?}");
    }
    assert!(!missing.exists(), "a typing error makes no empty database");
    site.write_with(&store(&missing.display().to_string()), &body);
    let help = site.check().error("this is no address of a store", "typo.db");
    assert!(help.contains("sqlite:PATH"), "{help}");
    assert!(!missing.exists());
    for scheme in ["postgres", "mysql"] {
        site.write_with(&store(&format!("{scheme}://nobody@127.0.0.1:1/nowhere")), &body);
        not_begun(&site, 5, "");
    }
}

#[test]
fn a_folder_without_its_marker_is_not_reached() {
    let mut site = sqlite(PLAIN);
    let body = entry("orders", TEXT_TIME) + JOB;
    let voice = site.folder.path().join("voice");
    std::fs::create_dir(&voice).unwrap();
    let stores = format!("[stores.shop]\nurl = \"{}\"\n[stores.voice]\nurl = \"file:{}\"\n", site.url, voice.display());
    site.write_with(&stores, &body).init();
    let answer = site.check();
    assert_eq!(answer.code, 5, "{}", answer.stderr);
    assert!(
        answer.stderr.contains("store `voice`") && answer.stderr.contains(".retentiond-store"),
        "{}",
        answer.stderr
    );
    assert!(site.retentiond(&["init", "voice"]).status.success());
    site.check().passes();
}
