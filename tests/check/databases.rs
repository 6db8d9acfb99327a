//! What databases do on their own.

use crate::site::*;

#[test]
fn engines_without_rollback_are_refused_unless_accepted() {
    for engine in ["MyISAM", "MEMORY"] {
        let mut site = mariadb(&format!(
            "CREATE TABLE orders (id INT PRIMARY KEY, made_at DATETIME NULL) ENGINE={engine};
             INSERT INTO orders VALUES (1, '2001-01-01'), (2, NULL);"
        ));
        let help = site
            .checked(&(entry("orders", TIME) + JOB))
            .error(&format!("stored by {engine}, which has no rollback"), "table = ");
        assert!(help.contains("allow_nontransactional = true"), "{help}");
        site.checked(&(entry("orders", &format!("{TIME}\nallow_nontransactional = true")) + JOB)).passes();
        assert_eq!(site.run().0, 0);
        assert_eq!(site.ask("SELECT GROUP_CONCAT(id) FROM orders"), "2");
    }
}

#[test]
fn row_security_is_warned_of() {
    let mut site = postgres(
        "CREATE TABLE orders (id INT PRIMARY KEY, made_at TIMESTAMP);
         ALTER TABLE orders ENABLE ROW LEVEL SECURITY;",
    );
    let help = site.checked(&(entry("orders", TIME) + JOB)).warning("`public.orders` has row security", "table = ");
    assert!(help.contains("BYPASSRLS"), "{help}");
}

#[test]
fn triggers_are_listed() {
    let table =
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL); CREATE TABLE copies (id INTEGER);";
    let mut sites = [
        (
            sqlite(&format!(
                "{table} CREATE TRIGGER copied AFTER DELETE ON orders BEGIN INSERT INTO copies VALUES (old.id); END;"
            )),
            TEXT_TIME,
        ),
        (
            postgres(&format!(
                "{table} CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN INSERT INTO copies VALUES (old.id); RETURN old; END $$;
                 CREATE TRIGGER copied AFTER DELETE ON orders FOR EACH ROW EXECUTE FUNCTION copy();"
            )),
            TIME,
        ),
        (
            mariadb(&format!(
                "{table} CREATE TRIGGER copied AFTER DELETE ON orders FOR EACH ROW INSERT INTO copies VALUES (old.id);"
            )),
            TIME,
        ),
    ];
    for (site, time) in &mut sites {
        let help = site.checked(&(entry("orders", time) + JOB)).warning("has a trigger `copied`", "table = ");
        assert_eq!(help, "know whether it copies personal data elsewhere");
    }
}

/// `orders` with three expired rows, of which a trigger keeps the second; with lines that go along.
fn keepers() -> [(Site, &'static str); 2] {
    let tables = "CREATE TABLE orders (id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL);
                  CREATE INDEX orders_made ON orders (made_at);
                  CREATE TABLE order_lines (id INTEGER PRIMARY KEY, order_id INTEGER);
                  CREATE INDEX lines_order ON order_lines (order_id);
                  INSERT INTO orders VALUES (1, '2001-01-01'), (2, '2001-01-02'), (3, '2001-01-03');
                  INSERT INTO order_lines VALUES (1, 1), (2, 2), (3, 3);";
    let lite = "CREATE TRIGGER kept BEFORE DELETE ON orders WHEN old.id = 2 BEGIN SELECT RAISE(IGNORE); END;";
    let pg = "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS
              $$ BEGIN IF old.id = 2 THEN RETURN NULL; END IF; RETURN old; END $$;
              CREATE TRIGGER kept BEFORE DELETE ON orders FOR EACH ROW EXECUTE FUNCTION keep();";
    [(sqlite(&format!("{tables} {lite}")), TEXT_TIME), (postgres(&format!("{tables} {pg}")), TIME)]
}

/// The run fails and says why.
fn fails_for_a_trigger(site: &Site) {
    let (code, answer) = site.run();
    assert_eq!(code, 1, "{answer}");
    let job = &answer["jobs"][0];
    assert_eq!(job["outcome"], "failed", "{job}");
    let error = job["error"].as_str().unwrap();
    assert!(error.contains("`orders`") && error.contains("a trigger, a rule or row security"), "{error}");
}

#[test]
fn a_trigger_that_keeps_rows_fails_the_run() {
    for (mut site, time) in keepers() {
        let help = site.checked(&(entry("orders", time) + JOB)).warning("has a trigger `kept`", "table = ");
        assert!(help.contains("BEFORE DELETE"), "{help}");
        fails_for_a_trigger(&site);
        assert_eq!(site.ask("SELECT id FROM orders"), "2", "what could go is gone");
        let ledger = "SELECT * FROM retentiond_ledger";
        assert_eq!(site.ask(ledger).lines().count(), 1, "and stands in the ledger");
    }
}

/// Rows that come between the last delete and the look at what is left are kept by nobody: they go too.
#[test]
fn a_row_that_comes_while_the_last_goes_is_no_doubt() {
    let mut site = postgres(
        "CREATE TABLE orders (id INT PRIMARY KEY, made_at TIMESTAMP);
         CREATE INDEX orders_time ON orders (made_at);
         CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS
             $$BEGIN IF NOT EXISTS (SELECT FROM retentiond_ledger) THEN INSERT INTO orders VALUES (7, '2001-01-01') ON CONFLICT DO NOTHING; END IF; RETURN NULL; END$$;
         CREATE TRIGGER late AFTER DELETE ON orders FOR EACH STATEMENT EXECUTE FUNCTION late();",
    );
    site.checked(&(entry("orders", TIME) + JOB)).warning("has a trigger `late`", "table = ");
    let (code, answer) = site.run();
    assert_eq!(code, 0, "{answer}");
    assert_eq!(site.ask("SELECT count(*) FROM orders"), "0");
}

#[test]
fn a_trigger_that_keeps_rows_with_children_has_the_batch_rolled_back() {
    for (mut site, time) in keepers() {
        let lines = entry("order_lines", "belongs_to = { data = \"orders\", by = \"order_id\" }");
        site.checked(&(entry("orders", time) + &lines + JOB)).warning("has a trigger `kept`", "table = \"orders\"");
        fails_for_a_trigger(&site);
        assert_eq!(site.ask("SELECT count(*) FROM orders"), "3");
        assert_eq!(site.ask("SELECT count(*) FROM order_lines"), "3");
        assert_eq!(site.ask("SELECT count(*) FROM retentiond_ledger"), "0");
    }
}

#[test]
fn missing_privileges_are_named() {
    let mut site = postgres(
        "CREATE TABLE orders (id INT PRIMARY KEY, made_at TIMESTAMP, who TEXT);
         INSERT INTO orders VALUES (1, '2001-01-01', 'x');",
    );
    let role = Role::new(&site, "check_reader");
    site.write(&(entry("orders", TIME) + JOB)).init();
    let name = role.0.clone();
    client(
        &site.url,
        &format!(
            "GRANT SELECT ON orders TO {name}; GRANT SELECT, INSERT, UPDATE ON retentiond_schema, retentiond_ledger, retentiond_gate, retentiond_held TO {name};"
        ),
    );
    let owner = site.url.clone();
    site.url = owner.replace("postgres://postgres@", &format!("postgres://{name}@"));
    assert_ne!(site.url, owner);
    let help = site
        .write(&(entry("orders", TIME) + JOB))
        .check()
        .error("the role lacks DELETE on `public.orders`", "table = ");
    assert!(help.contains("GRANT DELETE ON public.orders"), "{help}");
    let anonymised = entry("orders", &format!("{TIME}\non_expiry = \"anonymise\"\nanonymise = {{ who = \"null\" }}"));
    site.write(&(anonymised.clone() + JOB)).check().error("the role lacks UPDATE on `public.orders`", "table = ");
    client(&owner, &format!("GRANT UPDATE ON orders TO {name}"));
    site.check().passes();
    assert_eq!(site.run().0, 0);
    assert_eq!(site.ask("SELECT who IS NULL FROM orders"), "t");
    client(&owner, &format!("GRANT DELETE ON orders TO {name}"));
    site.write(&(entry("orders", TIME) + JOB)).check().passes();
    assert_eq!(site.run().0, 0);
    assert_eq!(site.ask("SELECT count(*) FROM orders"), "0");
}

#[test]
fn locking_parents_takes_update_on_postgresql() {
    let mut site = postgres(
        "CREATE TABLE orders (id INT PRIMARY KEY, made_at TIMESTAMP);
         CREATE TABLE order_lines (id INT PRIMARY KEY, order_id INT REFERENCES orders (id));
         CREATE INDEX ON order_lines (order_id);
         INSERT INTO orders VALUES (1, '2001-01-01'); INSERT INTO order_lines VALUES (1, 1);",
    );
    let lines = entry("order_lines", "belongs_to = { data = \"orders\", by = \"order_id\" }");
    let body = entry("orders", TIME) + &lines + JOB;
    let role = Role::new(&site, "check_deleter");
    site.write(&body).init();
    let (owner, name) = (site.url.clone(), role.0.clone());
    client(
        &owner,
        &format!(
            "GRANT SELECT ON retentiond_schema, retentiond_held TO {name};
             GRANT SELECT, INSERT ON retentiond_ledger TO {name};
             GRANT SELECT, INSERT, UPDATE ON retentiond_gate TO {name};
             GRANT SELECT, DELETE ON orders, order_lines TO {name};"
        ),
    );
    site.url = owner.replace("postgres://postgres@", &format!("postgres://{name}@"));
    let help = site.write(&body).check().error("the role lacks UPDATE on `public.orders`", "table = \"orders\"");
    assert!(help.contains("GRANT UPDATE ON public.orders"), "{help}");
    client(&owner, &format!("GRANT UPDATE ON orders TO {name}"));
    site.check().passes();
    assert_eq!(site.run().0, 0);
    assert_eq!(site.ask("SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM order_lines)"), "0");
}

#[test]
fn foreign_keys_on_partitions_do_not_hinder_a_purge() {
    let mut site = postgres(
        "CREATE TABLE customers (id INT PRIMARY KEY);
         INSERT INTO customers VALUES (1);
         CREATE TABLE orders (id INT, made_at TIMESTAMP NOT NULL, customer_id INT, PRIMARY KEY (id, made_at)) PARTITION BY RANGE (made_at);
         CREATE TABLE orders_old PARTITION OF orders FOR VALUES FROM ('2001-01-01') TO ('2002-01-01');
         CREATE TABLE orders_older PARTITION OF orders FOR VALUES FROM ('2000-01-01') TO ('2001-01-01');
         CREATE TABLE orders_new PARTITION OF orders DEFAULT;
         CREATE INDEX ON orders (made_at);
         ALTER TABLE orders_old ADD FOREIGN KEY (customer_id) REFERENCES customers (id);
         CREATE TABLE order_lines (id INT PRIMARY KEY, order_id INT, order_at TIMESTAMP,
             FOREIGN KEY (order_id, order_at) REFERENCES orders_old (id, made_at));
         CREATE INDEX ON order_lines (order_id, order_at);
         INSERT INTO orders VALUES (1, '2000-05-01', 7), (2, '2001-05-01', 1), (3, now(), 1);
         INSERT INTO order_lines VALUES (1, 2, '2001-05-01'), (2, NULL, NULL);",
    );
    let orders = entry("orders", TIME);
    let lines =
        entry("order_lines", "belongs_to = { data = \"orders\", by = { order_id = \"id\", order_at = \"made_at\" } }");
    site.checked(&(orders + &lines + JOB)).passes();
    let (code, answer) = site.run();
    assert_eq!(code, 0, "{answer}");
    assert_eq!(site.ask("SELECT string_agg(id::text, ',' ORDER BY id) FROM orders"), "3");
    assert_eq!(site.ask("SELECT string_agg(id::text, ',' ORDER BY id) FROM order_lines"), "2");
}
