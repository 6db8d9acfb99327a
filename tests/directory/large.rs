//! A large contact centre in little memory.

use super::run_sql;
use super::shop::{Engine, Shop};

/// A large contact centre in little memory: what the design says is gone, gone; a name exactly where a reference remains.
///
/// `RETENTIOND_TORTURE=long` has 200 000 users and 5 million contacts.
#[test]
fn a_large_centre_takes_little_memory() {
    let long = std::env::var("RETENTIOND_TORTURE").is_ok_and(|long| long == "long");
    let (users, contacts): (u64, u64) = if long { (200_000, 5_000_000) } else { (4_000, 40_000) };
    let gone = users / 20;
    // Users up to `gone` will be deleted; of these, even ones have contacts, and so have all others.
    let schema = format!(
        "CREATE TABLE users (id bigint PRIMARY KEY, login text);
         CREATE TABLE user_names (user_id bigint PRIMARY KEY, name text);
         CREATE TABLE user_addresses (id bigint PRIMARY KEY, user_id bigint, address text);
         CREATE TABLE directory_users (id bigint PRIMARY KEY, user_id bigint, name text);
         CREATE TABLE contacts (id bigint PRIMARY KEY, agent_id bigint, subject text);
         INSERT INTO users SELECT n, 'u' || n FROM generate_series(1, {users}) n;
         INSERT INTO user_names SELECT n, 'name ' || n FROM generate_series(1, {users}) n;
         INSERT INTO user_addresses SELECT n, (n + 1) / 2, n || '@example.org' FROM generate_series(1, {users} * 2) n;
         INSERT INTO directory_users SELECT n, n, 'name ' || n FROM generate_series(1, {users}) n;
         INSERT INTO contacts SELECT n, CASE WHEN n % {users} <= {gone} THEN n % {users} / 2 * 2 ELSE n % {users} END, 'call ' || n
             FROM generate_series(1, {contacts}) n;
         CREATE INDEX ON user_addresses (user_id); CREATE INDEX ON directory_users (user_id); CREATE INDEX ON contacts (agent_id);
         ANALYZE;"
    );
    let shop = Shop::new(Engine::Postgres, &large_policy(), &schema);
    let run = |rows: u64| {
        let started = std::time::Instant::now();
        let child = shop.command(&["run", "directory", "--unpaced"]).spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        let output = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut peak = 0;
                // It is over when the process has no memory of its own any more.
                while let Some(kib) = peak_of(&status) {
                    peak = kib;
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
                peak
            });
            let output = child.wait_with_output().unwrap();
            (output, watcher.join().unwrap())
        });
        let (output, peak) = output;
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        assert_eq!(answer["jobs"][0]["rows"].as_u64(), Some(rows), "{}", String::from_utf8_lossy(&output.stderr));
        eprintln!(
            "{users} users, {contacts} contacts: {rows} rows in {:.1} s, {peak} KiB at most",
            started.elapsed().as_secs_f64()
        );
        assert!(0 < peak && peak <= 64 * 1024, "{peak} KiB");
    };
    run(0);
    shop.sql(&format!("DELETE FROM users WHERE id <= {gone};"));
    run(2 * gone);
    let state = format!("sqlite:{}", shop.folder.path().join("state.db").display());
    run_sql(&state, "UPDATE gone_persons SET first_seen = '2020-01-01 00:00:00';");
    run(gone + gone / 2);
    run(0);
    let count = |table: &str| shop.sql(&format!("SELECT count(*) FROM {table};")).trim().parse::<u64>().unwrap();
    assert_eq!(count("user_addresses"), 2 * (users - gone));
    assert_eq!(count("directory_users"), users - gone);
    assert_eq!(count(&format!("user_names WHERE user_id <= {gone}")), gone / 2);
    let wrong =
        "user_names n WHERE user_id <= {gone} AND NOT EXISTS (SELECT FROM contacts c WHERE c.agent_id = n.user_id)";
    assert_eq!(count(&wrong.replace("{gone}", &gone.to_string())), 0, "a name stays exactly where a reference remains");
    assert_eq!(count("contacts"), contacts);
}

/// The map of the large contact centre.
fn large_policy() -> String {
    let entry = |name: &str, category: &str, rest: &str| {
        format!("[data.{name}]\nstore = \"shop\"\ntable = \"{name}\"\ncategory = \"{category}\"\n{rest}\n")
    };
    "[people.user]\ndata = \"users\"\n\
         [brakes]\nmax_percent = 100\nmax_persons = 1000000\nmax_rows = 100000000\nmax_times_usual = 1000000\n\
         [jobs.directory]\nkind = \"directory_cleanup\"\nperson = \"user\"\nafter = \"30 days\"\n"
        .to_owned()
        + &entry("users", "user_master_data", "stub = \"user_names\"")
        + &entry("user_names", "user_master_data", "user = \"user_id\"")
        + &entry("user_addresses", "user_master_data", "user = \"user_id\"")
        + &entry("directory_users", "directory_information", "user = \"user_id\"")
        + &entry("contacts", "some", "user = \"agent_id\"")
}

/// The most memory that a process has had, in KiB; `None` when it has ended.
fn peak_of(status: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}
