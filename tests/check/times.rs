//! Names and times.

use crate::site::*;

#[test]
fn an_unknown_table_or_column_is_named_with_what_was_meant() {
    for (mut site, time, schema) in orders_and_lines("") {
        let wrong = entry("oders", time).replace("data.oders", "data.orders");
        let help = site.checked(&(wrong + JOB)).error("store `shop` has no table `oders`", "table = \"oders\"");
        assert!(help.contains("did you mean `") && help.contains("orders`"), "{help}");
        let lines = entry("order_lines", "belongs_to = { data = \"orders\", by = \"ordr_id\" }");
        let answer = site.checked(&(entry("orders", &time.replace("made_at", "maed_at")) + &lines + JOB));
        let help = answer.error(&format!("table `{schema}orders` has no column `maed_at`"), "maed_at");
        assert_eq!(help, "did you mean `made_at`?");
        let help = answer.error(&format!("table `{schema}order_lines` has no column `ordr_id`"), "ordr_id");
        assert_eq!(help, "did you mean `order_id`?");
        let conditional = JOB.replace("keep", "where = { nonesuch_madeat = 3 }\nkeep");
        let good = entry("order_lines", "belongs_to = { data = \"orders\", by = \"order_id\" }");
        let answer = site.checked(&(entry("orders", time) + &good + &conditional));
        answer.error(&format!("table `{schema}orders` has no column `nonesuch_madeat`"), "where = ");
    }
}

#[test]
fn a_number_needs_its_unit_and_a_text_its_format() {
    let sql = "CREATE TABLE orders (id INTEGER PRIMARY KEY, made BIGINT, note VARCHAR(30), flag DECIMAL(9,2));";
    for mut site in [sqlite(sql), postgres(sql), mariadb(sql)] {
        let help = site
            .checked(&(entry("orders", "time = \"made\"") + JOB))
            .error("`made` is a number; say its unit", "time = ");
        assert!(help.contains("unit = \"s\""), "{help}");
        let help = site
            .checked(&(entry("orders", "time = \"note\"") + JOB))
            .error("`note` holds text; say its format", "time = ");
        assert!(help.contains("format = \"%Y-%m-%d %H:%M:%S\""), "{help}");
        let unsorted = entry("orders", "time = { column = \"note\", format = \"%d.%m.%Y\" }");
        site.checked(&(unsorted + JOB)).error("the format `%d.%m.%Y` does not sort by age", "time = ");
        site.checked(&(entry("orders", "time = \"flag\"") + JOB)).error("which is no time", "time = ");
        let good = entry("orders", "time = { column = \"made\", unit = \"s\" }");
        let answer = site.checked(&(good + JOB));
        let help = answer.warning("each run reads the whole table", "time = ");
        assert!(help.starts_with("CREATE INDEX"), "{help}");
    }
    // SQLite stores what it is given, whatever the column is declared as.
    let mut site = sqlite("CREATE TABLE orders (id INTEGER PRIMARY KEY, made_at DATETIME);");
    site.checked(&(entry("orders", "time = \"made_at\"") + JOB))
        .error("`made_at` holds text; say its format", "time = ");
}

#[test]
fn a_view_is_refused() {
    let sql =
        "CREATE TABLE sold (id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL); CREATE VIEW orders AS SELECT * FROM sold;";
    for (mut site, time) in [(sqlite(sql), TEXT_TIME), (postgres(sql), TIME), (mariadb(sql), TIME)] {
        let help =
            site.checked(&(entry("orders", time) + JOB)).error("`orders` is a view, not a table", "table = \"orders\"");
        assert_eq!(help, "name the table behind it");
    }
}

#[test]
fn a_table_of_two_schemas_needs_its_schema() {
    let mut site = postgres(
        "CREATE SCHEMA old; CREATE SCHEMA new;
         CREATE TABLE old.orders (id INT PRIMARY KEY, made_at TIMESTAMP);
         CREATE TABLE new.orders (id INT PRIMARY KEY, made_at TIMESTAMP);
         INSERT INTO old.orders VALUES (1, '2001-01-01'); INSERT INTO new.orders VALUES (1, '2001-01-01');",
    );
    let answer = site.checked(&(entry("orders", TIME) + JOB));
    let help = answer.error("several schemas of store `shop` have a table `orders`", "table = \"orders\"");
    assert!(help.contains("old") && help.contains("new"), "{help}");
    let named = entry("old.orders", TIME).replace("data.old_orders", "data.orders");
    site.checked(&(named + JOB)).passes();
    assert_eq!(site.run().0, 0);
    assert_eq!(site.ask("SELECT (SELECT count(*) FROM old.orders) || ' ' || (SELECT count(*) FROM new.orders)"), "0 1");
}
