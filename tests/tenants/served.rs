//! Tenants through daemons: the words that the socket understands, and three daemons that share the work.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::Tenants;
use crate::daemon::{Daemon, long};
use crate::support::{mariadb, postgres, run_sql};

/// Through the daemon the same words mean the same jobs as at the keyboard, and what is done is recorded.
#[test]
fn a_pause_through_the_daemon_is_the_tenants_alone() {
    let tenants = Tenants::two();
    let state = format!("sqlite:{}", tenants.project.path("state.db").display());
    let daemon = Daemon::of(&tenants.project, "control.sock", &[]);
    let say = |args: &[&str], code| {
        tenants.project.run(&[args, &["--socket", "control.sock"]].concat()).expect_code(code).stdout
    };
    let paused =
        || run_sql(&state, "SELECT job FROM pauses ORDER BY job;").split_whitespace().collect::<Vec<_>>().join(" ");
    let recorded = |kind: &str| {
        run_sql(&state, &format!("SELECT count(*) FROM trail_records WHERE kind = '{kind}';")).trim().to_owned()
    };
    let said = say(&["pause", "log", "--tenant", "acme"], 0);
    assert!(said.contains("job log@acme is paused"), "{said}");
    assert_eq!(paused(), "log@acme");
    say(&["resume", "--tenant", "beta"], 0);
    assert_eq!(paused(), "log@acme", "another tenant's resume lets nobody go on");
    say(&["pause", "--tenant", "beta"], 0);
    assert_eq!(paused(), "log@acme log@beta");
    say(&["resume", "log"], 0);
    assert_eq!(paused(), "", "a job's name alone is that job of every tenant");
    say(&["pause", "log@acme", "--tenant", "beta"], 2);
    say(&["pause", "gol"], 2);
    assert_eq!((recorded("pause"), recorded("resume")), ("2".to_owned(), "3".to_owned()));
    run_sql(&state, "INSERT INTO pauses (job, since) VALUES ('', '2026-01-01 00:00:00');");
    let said = say(&["resume", "log@acme"], 0);
    assert!(said.contains("all jobs are paused"), "{said}");
    assert_eq!(daemon.stop(), Some(0));
}

/// The slots of each job in the state, with their outcomes.
fn slots(state: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let rows = run_sql(state, "SELECT job, slot, outcome FROM slots WHERE ended_at IS NOT NULL ORDER BY job, slot;");
    let mut slots: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for row in rows.lines() {
        let parts: Vec<&str> = row.split('\t').collect();
        slots.entry(parts[0].to_owned()).or_default().push((parts[1].to_owned(), parts[2].to_owned()));
    }
    slots
}

/// How many connections there are to a few databases of PostgreSQL.
fn connections(urls: &[(String, String)]) -> usize {
    let postgres: Vec<&String> = urls.iter().map(|(_, url)| url).filter(|url| url.starts_with("postgres")).collect();
    let names: Vec<String> = postgres.iter().map(|url| format!("'{}'", url.rsplit('/').next().unwrap())).collect();
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE datname IN ({});", names.join(", "));
    run_sql(postgres[0], &sql).trim().parse::<usize>().unwrap() - 1
}

/// More tenants than a server has connections to give: each daemon may have two runs at a time, of two connections each,
/// and looks at eight tenants at a time when it starts.
#[test]
fn three_daemons_share_the_tenants_and_take_over_those_of_a_killed_one() {
    const DAEMONS: usize = 3;
    let count = if long() { 100 } else { 40 };
    let url =
        |number: usize| if number.is_multiple_of(4) { mariadb().fresh_database() } else { postgres().fresh_database() };
    let urls: Vec<(String, String)> = (0..count).map(|number| (format!("t{number}"), url(number))).collect();
    let state = postgres().fresh_database();
    let jobs = "schedule = \"*/5 * * * * *\"\ncatch_up = \"all\"";
    let tenants = Tenants::new(&state, &urls, jobs);
    tenants.project.run(&["init", "main"]).expect_code(0);
    let start = |number: usize| Daemon::of(&tenants.project, &format!("control{number}.sock"), &[]);
    let mut daemons: Vec<Daemon> = (0..DAEMONS).map(start).collect();
    let complete = |at_least: usize| {
        let slots = slots(&state);
        slots.len() == count && slots.values().all(|slots| slots.len() >= at_least)
    };
    let most = Cell::new(0);
    let wait = |what: &str, done: &dyn Fn() -> bool| {
        let until = Instant::now() + Duration::from_secs(if long() { 600 } else { 180 });
        while !done() {
            assert!(Instant::now() < until, "{what}: {:?}", slots(&state));
            most.set(most.get().max(connections(&urls)));
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    // A lease names who had it last, which may for a moment be one of them everywhere.
    let working = RefCell::new(BTreeSet::new());
    wait("each tenant had two slots, and they were shared", &|| {
        let rows = run_sql(&state, "SELECT DISTINCT holder FROM leases;");
        working.borrow_mut().extend(rows.lines().map(str::to_owned));
        complete(2) && working.borrow().len() >= 2
    });
    daemons.remove(0).kill();
    let before = slots(&state);
    wait("all tenants have slots after the kill", &|| {
        let now = slots(&state);
        before.iter().all(|(job, slots)| now[job].len() >= slots.len() + 2)
    });
    daemons.into_iter().for_each(|daemon| assert_eq!(daemon.stop(), Some(0)));
    let most = most.get();
    println!("{count} tenants: at most {most} connections at a time");
    // A server ends a connection a moment after its client has.
    assert!((1..=DAEMONS * 12).contains(&most), "{most} connections at a time");
    for (job, slots) in slots(&state) {
        assert!(slots.iter().all(|(_, outcome)| outcome == "complete"), "{job}: {slots:?}");
        let distinct: BTreeSet<&String> = slots.iter().map(|(slot, _)| slot).collect();
        assert_eq!(distinct.len(), slots.len(), "{job}: each slot once");
    }
    let twice = "SELECT count(*) FROM (SELECT job, slot FROM runs WHERE outcome = 'complete' AND slot IS NOT NULL GROUP BY job, slot HAVING count(*) > 1) AS twice;";
    assert_eq!(run_sql(&state, twice).trim(), "0", "no slot was done twice");
    for tenant in tenants.urls.keys() {
        assert_eq!(tenants.left(tenant), "1", "tenant {tenant}: what had expired is gone, and no more");
    }
}
