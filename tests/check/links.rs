//! Foreign keys and indexes.

use crate::site::*;

#[test]
fn a_foreign_key_from_an_unmapped_table_is_refused() {
    let cases = [
        ("", "refers to", "and is not in the map"),
        ("ON DELETE CASCADE", "would be deleted along with rows of", "ON DELETE CASCADE"),
        ("ON DELETE SET NULL", "would be changed along with rows of", "ON DELETE SET NULL"),
    ];
    for (clause, first, second) in cases {
        for (mut site, time, schema) in orders_and_lines(clause) {
            let answer = site.checked(&(entry("orders", time) + JOB));
            let help = answer.error(first, "table = \"orders\"");
            assert!(help.contains("belongs_to = { data = \"orders\", by = \"order_id\" }"), "{help}");
            let message = answer.findings[0]["message"].as_str().unwrap();
            assert!(message.contains(&format!("`{schema}order_lines`")) && message.contains(second), "{message}");
            // A table that is left alone for a reason is no longer a question.
            let ignored =
                "[data.lines]\nstore = \"shop\"\ntable = \"order_lines\"\nignore = \"emptied by the shop itself\"\n\n";
            site.checked(&(entry("orders", time) + ignored + JOB)).passes();
        }
    }
}

#[test]
fn a_mapped_table_must_say_what_becomes_of_its_reference() {
    for (mut site, time, _) in orders_and_lines("") {
        let silent = entry("orders", time) + &entry("order_lines", "") + JOB;
        let help = site.checked(&silent).error("the map does not say what becomes of its rows", "table = \"orders\"");
        assert!(help.contains("belongs_to = ") && help.contains("unlink = "), "{help}");
        let unlink = entry("order_lines", "unlink = { data = \"orders\", by = \"order_id\" }");
        site.checked(&(entry("orders", time) + &unlink + JOB)).passes();
    }
}

#[test]
fn a_missing_index_is_an_error_whose_help_mends_it() {
    let sql = "CREATE TABLE orders (id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL);
               CREATE TABLE order_lines (id INTEGER PRIMARY KEY, order_id INTEGER);";
    for (mut site, time) in [(sqlite(sql), TEXT_TIME), (postgres(sql), TIME), (mariadb(sql), TIME)] {
        let lines = entry("order_lines", "belongs_to = { data = \"orders\", by = \"order_id\" }");
        let file = entry("orders", time) + &lines + JOB;
        let help = site
            .checked(&file)
            .error("begins with order_id: each batch of `orders` would read the whole table", "belongs_to");
        assert!(help.starts_with("CREATE INDEX"), "{help}");
        client(&site.url, &help);
        site.check().passes();
    }
}

#[test]
fn a_circle_is_refused_with_the_entries_in_it() {
    let sql = "CREATE TABLE orders (id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL, bill_id INTEGER);
               CREATE TABLE bills (id INTEGER PRIMARY KEY, order_id INTEGER);
               CREATE INDEX orders_bill ON orders (bill_id);
               CREATE INDEX bills_order ON bills (order_id);";
    for (mut site, time) in [(sqlite(sql), TEXT_TIME), (postgres(sql), TIME), (mariadb(sql), TIME)] {
        let orders = entry("orders", &format!("{time}\nbelongs_to = {{ data = \"bills\", by = \"bill_id\" }}"));
        let bills = entry("bills", "belongs_to = { data = \"orders\", by = \"order_id\" }");
        let answer = site.checked(&(orders + &bills + JOB));
        assert_eq!(answer.code, 3);
        let circle = answer
            .findings
            .iter()
            .find(|finding| finding["message"].as_str().unwrap().contains("in a circle"))
            .unwrap();
        let message = circle["message"].as_str().unwrap();
        assert!(message.contains("`orders`") && message.contains("`bills`"), "{message}");
        let line = usize::try_from(circle["line"].as_u64().unwrap()).unwrap();
        assert!(answer.text.lines().nth(line - 1).unwrap().starts_with("belongs_to"), "{circle}");
        assert!(circle["help"].as_str().unwrap().contains("unlink"), "{circle}");
    }
}

#[test]
fn a_second_link_to_the_same_table_is_refused() {
    let sql = "CREATE TABLE orders (id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL, up INTEGER, first INTEGER);
               CREATE INDEX orders_up ON orders (up); CREATE INDEX orders_first ON orders (first);";
    let mut site = sqlite(sql);
    let links = "belongs_to = [{ data = \"orders\", by = \"up\" }, { data = \"orders\", by = \"first\" }]";
    let file = entry("orders", &format!("{TEXT_TIME}\n{links}")) + JOB;
    site.checked(&file).error("`orders` belongs to itself by several links", "belongs_to");
}
