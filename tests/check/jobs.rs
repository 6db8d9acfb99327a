//! Jobs.

use std::fmt::Write as _;

use crate::site::*;

#[test]
fn two_jobs_may_not_claim_the_same_rows() {
    let mut site = sqlite(PLAIN);
    let twin = JOB.replace("purge]", "second]").replace("1 year", "2 years").replace("data", "data  ");
    let help = site
        .checked(&(entry("orders", TEXT_TIME) + JOB + "\n" + &twin))
        .error("both purge `orders` with the same `where`", "data   =");
    assert_eq!(help, "make it one job, with an override");
    let apart = |job: &str, id: u32| job.replace("keep", &format!("where = {{ id = {id} }}\nkeep"));
    site.checked(&(entry("orders", TEXT_TIME) + &apart(JOB, 1) + "\n" + &apart(&twin, 2))).passes();
}

#[test]
fn a_keep_needs_a_time() {
    let mut site = sqlite(PLAIN);
    let help = site
        .checked(&(entry("orders", "") + JOB))
        .error("`orders` has no `time`, so nothing says how old its rows are", "data = [");
    assert!(help.contains("[data.orders]"), "{help}");
}

#[test]
fn all_mistakes_are_shown_at_once_each_with_its_place() {
    let mut site = sqlite(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, made INTEGER, name TEXT NOT NULL); CREATE TABLE bills (id INTEGER PRIMARY KEY);",
    );
    let orders = entry("orders", "time = \"made\"\non_expiry = \"anonymise\"\nanonymise = { name = \"null\" }");
    let body = orders + &entry("bils", "") + &JOB.replace("keep", "where = { nmae = \"x\" }\nkeep");
    site.write(&body).init();
    let answer = site.check();
    answer.error("`made` is a number; say its unit", "time = ");
    answer.error("`name` may not be NULL", "anonymise = {");
    assert_eq!(answer.error("store `shop` has no table `bils`", "table = \"bils\""), "did you mean `bills`?");
    assert_eq!(answer.error("table `orders` has no column `nmae`", "where = "), "did you mean `name`?");
    let text = String::from_utf8(site.retentiond(&["check"]).stderr).unwrap();
    for finding in answer.findings.iter().filter(|finding| finding["severity"] == "error") {
        let mut place = String::new();
        write!(place, "jobs.toml:{}:{}", finding["line"], finding["column"]).unwrap();
        assert!(text.contains(&place), "{place} in {text}");
        assert!(text.contains(finding["message"].as_str().unwrap()), "{text}");
    }
}
