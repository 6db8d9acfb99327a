//! Names that need quotes.

use crate::client::{ALL, Db};
use crate::families::{civil, job};
use crate::site::Site;

#[test]
fn names_with_blanks_and_words_of_the_language() {
    for db in ALL {
        let schema = "CREATE TABLE [Order Details] ([order] {big} PRIMARY KEY, [at] {civil}, [user] {text}, fate {text});
            CREATE TABLE [CamelCase] ([Select] {big} PRIMARY KEY, [orderId] {big}, fate {text}, FOREIGN KEY ([orderId]) REFERENCES [Order Details] ([order]));
            CREATE INDEX [the order] ON [CamelCase] ([orderId]);";
        let policy = format!(
            "[data.details]\n{{store}}\ntable = \"Order Details\"\ntime = {}\n\
             [data.camels]\n{{store}}\ntable = \"CamelCase\"\nbelongs_to = {{ data = \"details\", by = \"orderId\" }}\n{}",
            civil(db),
            job("details", "where = { user = \"ann\" }")
        );
        let site = Site::new(db, schema, &["[Order Details]", "[CamelCase]"], &policy);
        site.database.sql(
            "INSERT INTO [Order Details] VALUES (1, '2020-01-01 00:00:00', 'ann', 'goes'), (2, '2020-01-02 00:00:00', 'bea', 'stays'), (3, '2030-01-01 00:00:00', 'ann', 'stays');
             INSERT INTO [CamelCase] VALUES (1, 1, 'goes'), (2, 2, 'stays'), (3, NULL, 'stays');",
        );
        site.purge("it");
    }
}

#[test]
fn a_table_in_a_schema_is_not_its_namesake() {
    let schema = "CREATE SCHEMA old; CREATE TABLE old.logs (id bigint PRIMARY KEY, at timestamp, fate text); CREATE TABLE logs (id bigint PRIMARY KEY, at timestamp, fate text);";
    let policy =
        format!("[data.logs]\n{{store}}\ntable = \"old.logs\"\ntime = {}\n{}", civil(Db::Postgres), job("logs", ""));
    let site = Site::new(Db::Postgres, schema, &["old.logs", "public.logs"], &policy);
    site.database.sql(
        "INSERT INTO old.logs VALUES (1, '2020-01-01', 'goes'), (2, '2030-01-01', 'stays'); INSERT INTO public.logs VALUES (1, '2020-01-01', 'stays');",
    );
    site.purge("it");
}
