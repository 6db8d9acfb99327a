//! What is only warned of, and what stops a run that nobody can warn of.

use crate::site::*;

#[test]
fn a_time_without_its_zone_and_without_an_index_is_warned_of() {
    let sql = "CREATE TABLE orders (id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL);";
    let text = "time = { column = \"made_at\", format = \"%Y-%m-%d\" }";
    let date = "time = \"made_at\"";
    let dates = sql.replace("TIMESTAMP", "DATE");
    // MariaDB's TIMESTAMP knows its zone, its DATETIME does not.
    let civil = sql.replace("TIMESTAMP", "DATETIME");
    for (mut site, time) in
        [(sqlite(sql), text), (postgres(sql), date), (mariadb(&civil), date), (postgres(&dates), date)]
    {
        let answer = site.checked(&(entry("orders", time) + JOB));
        let help = answer.warning("the zone of `made_at` is not said: its rows are kept 14 hours longer", "time = ");
        assert!(help.contains("zone = \"UTC\""), "{help}");
        let help = answer.warning("begins with `made_at`: each run reads the whole table", "time = ");
        assert!(help.starts_with("CREATE INDEX"), "{help}");
    }
}

#[test]
fn a_table_without_a_key_is_warned_of() {
    let sql = "CREATE TABLE orders (id INTEGER, made_at TIMESTAMP NULL);";
    for (mut site, time) in [(sqlite(sql), TEXT_TIME), (postgres(sql), TIME), (mariadb(sql), TIME)] {
        let help = site.checked(&(entry("orders", time) + JOB)).warning("has no key", "table = ");
        assert!(help.contains("key = "), "{help}");
    }
}

#[test]
fn copies_that_stay_behind_are_named() {
    let mut site = postgres(
        "CREATE TABLE orders (id INT PRIMARY KEY, made_at TIMESTAMP);
         CREATE VIEW recent AS SELECT * FROM orders;
         CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM recent;",
    );
    let answer = site.checked(&(entry("orders", TIME) + JOB));
    let help = answer.warning("the materialised view `public.totals` keeps copies of `public.orders`", "table = ");
    assert_eq!(help, "refresh it after the run");
    let mut site = mariadb("CREATE TABLE orders (id INT PRIMARY KEY, made_at DATETIME NULL) WITH SYSTEM VERSIONING;");
    let help = site.checked(&(entry("orders", TIME) + JOB)).error("`orders` is system-versioned", "table = ");
    assert!(help.contains("DELETE HISTORY"), "{help}");
}

#[test]
fn rules_that_change_a_delete_are_refused() {
    let mut site = postgres(
        "CREATE TABLE orders (id INT PRIMARY KEY, made_at TIMESTAMP);
         CREATE RULE kept AS ON DELETE TO orders DO INSTEAD NOTHING;",
    );
    site.checked(&(entry("orders", TIME) + JOB)).error("`public.orders` has rewrite rules", "table = ");
}

#[test]
fn row_security_that_limits_the_role_is_refused() {
    let mut site = postgres(
        "CREATE TABLE orders (id INT PRIMARY KEY, made_at TIMESTAMP, tenant INT);
         ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
         CREATE POLICY mine ON orders USING (tenant = 1);",
    );
    let role = Role::new(&site, "check_tenant");
    site.write(&(entry("orders", TIME) + JOB)).init();
    let (owner, name) = (site.url.clone(), role.0.clone());
    client(&owner, &format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name};"));
    site.url = owner.replace("postgres://postgres@", &format!("postgres://{name}@"));
    let answer = site.write(&(entry("orders", TIME) + JOB)).check();
    let help = answer.error("has row security that limits this role", "table = ");
    assert!(help.contains("BYPASSRLS"), "{help}");
}

/// Foreign keys in a circle between columns that may not be NULL: no order of deletions is possible, and it is said so.
#[test]
fn a_circle_of_required_references_cannot_be_unlinked() {
    let sql = "CREATE TABLE orders (id INT PRIMARY KEY, made_at TIMESTAMP, bill_id INT NOT NULL);
               CREATE TABLE bills (id INT PRIMARY KEY, order_id INT NOT NULL REFERENCES orders (id));
               ALTER TABLE orders ADD FOREIGN KEY (bill_id) REFERENCES bills (id) DEFERRABLE INITIALLY DEFERRED;
               CREATE INDEX ON orders (made_at); CREATE INDEX ON orders (bill_id); CREATE INDEX ON bills (order_id);";
    let mut site = postgres(sql);
    let orders = entry("orders", &format!("{TIME}\nunlink = {{ data = \"bills\", by = \"bill_id\" }}"));
    let bills = entry("bills", "belongs_to = { data = \"orders\", by = \"order_id\" }");
    let answer = site.checked(&(orders + &bills + JOB));
    answer.error("`bill_id` may not be NULL, so the reference cannot be unlinked", "unlink = ");
}

/// A deferred key fails at COMMIT, after all statements have succeeded: then nothing of the batch has happened.
#[test]
fn a_batch_that_fails_at_its_commit_leaves_nothing() {
    let mut site = postgres(
        "CREATE TABLE orders (id INT PRIMARY KEY, made_at TIMESTAMP);
         CREATE INDEX ON orders (made_at);
         CREATE TABLE order_lines (id INT PRIMARY KEY, order_id INT REFERENCES orders (id) DEFERRABLE INITIALLY DEFERRED);
         CREATE INDEX ON order_lines (order_id);
         INSERT INTO orders VALUES (1, '2001-01-01'), (2, '2001-01-01'); INSERT INTO order_lines VALUES (1, 1);",
    );
    let lines = "[data.lines]\nstore = \"shop\"\ntable = \"order_lines\"\nignore = \"said to be empty\"\n\n";
    site.checked(&(entry("orders", TIME) + lines + JOB)).passes();
    let (code, answer) = site.run();
    assert_eq!(code, 1, "{answer}");
    assert_eq!(answer["jobs"][0]["outcome"], "failed", "{answer}");
    assert!(answer["jobs"][0]["error"].as_str().unwrap().contains("a foreign key forbids the change"), "{answer}");
    assert_eq!(site.ask("SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM retentiond_ledger)"), "2|0");
}

#[test]
fn columns_of_special_categories_are_pointed_out_in_directories() {
    let sql = "CREATE TABLE orders (id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL, religion VARCHAR(20));";
    for (mut site, time) in [(sqlite(sql), TEXT_TIME), (postgres(sql), TIME), (mariadb(sql), TIME)] {
        let body = entry("orders", time).replace("\"billing\"", "\"directory_information\"") + JOB;
        site.checked(&body).warning("religion` looks like sensitive data", "table = ");
    }
}

/// A server whose clock differs by more than a minute from ours: which rows are old is then in doubt.
#[test]
fn a_server_whose_clock_is_off_stops_the_run() {
    let mut site = postgres(
        "CREATE TABLE orders (id INT PRIMARY KEY, made_at TIMESTAMP);
         CREATE INDEX ON orders (made_at);
         INSERT INTO orders VALUES (1, '2001-01-01');
         CREATE SCHEMA fake;
         CREATE FUNCTION fake.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
             $$ SELECT pg_catalog.clock_timestamp() + interval '2 minutes' $$;",
    );
    site.checked(&(entry("orders", TIME) + JOB)).passes();
    let name = site.url.rsplit('/').next().unwrap().to_owned();
    client(&site.url, &format!("ALTER DATABASE {name} SET search_path = fake, pg_catalog, public;"));
    let (code, answer) = site.run();
    assert_eq!(code, 1, "{answer}");
    assert!(answer["jobs"][0]["error"].as_str().unwrap().contains("clock"), "{answer}");
    assert_eq!(site.ask("SELECT count(*) FROM public.orders"), "1");
}
