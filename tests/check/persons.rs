//! Persons.

use crate::site::*;

const PEOPLE: &str = "[people.user]\ndata = \"staff\"\nidentifiers = { login = \"login\", email = \"mails.address\" }\n\n\
    [people.customer]\nidentifiers = [\"phone\", \"email\"]\n\n";

/// Staff with a whole-number key, their addresses, and orders about staff and customers.
fn staffed() -> Vec<Site> {
    let sql = |json: &str| {
        format!(
            "CREATE TABLE staff (id BIGINT NOT NULL PRIMARY KEY, tenant BIGINT NOT NULL, login VARCHAR(20));
             CREATE TABLE mails (id BIGINT NOT NULL PRIMARY KEY, staff_id BIGINT NOT NULL, address VARCHAR(80));
             CREATE TABLE orders (id BIGINT NOT NULL PRIMARY KEY, staff_id BIGINT NOT NULL, taken_on DATE, mailbox VARCHAR(80),
                 payload {json}, phone VARCHAR(30), second VARCHAR(30) NOT NULL);"
        )
    };
    vec![sqlite(&sql("TEXT")), postgres(&sql("JSONB")), mariadb(&sql("JSON"))]
}

#[test]
fn links_to_persons_are_held_against_the_catalog() {
    for mut site in staffed() {
        let mails = entry("mails", "user = \"staff_id\"");
        let good = entry("staff", "") + &mails;
        let links = "user = [{ column = \"staff_id\" }, { column = \"mailbox\", before = \"@\" }, { json = \"payload\", path = \"$.by[0]\" }]\n\
                     customer = { phone = \"phone\" }\nmentions = { email = \"second\" }";
        let answer = site.checked(&(PEOPLE.to_owned() + &good + &entry("orders", links)));
        answer.passes();
        for (said, line, message, help) in [
            ("user = \"staf_id\"", "staf_id", "has no column `staf_id`", "did you mean `staff_id`?"),
            ("user = [\"staff_id\", \"id\"]", "user = [", "2 columns, but the key of `staff` has 1", "several persons"),
            ("user = \"taken_on\"", "taken_on", "`taken_on` is of type", "the person's key"),
            ("user = { json = \"payload\", path = \"by\" }", "path = ", "`by` is no path within JSON", "$.user.id"),
            ("user = { column = \"staff_id\", before = \"@\" }", "before", "has no parts", ""),
            ("customer = { fone = \"phone\" }", "fone", "no person is known by a `fone`", "did you mean `phone`?"),
            ("customer = { phone = \"taken_on\" }", "taken_on", "`taken_on` is of type", ""),
            ("mentions = { phone = \"id\" }", "mentions", "part of the key", ""),
        ] {
            site.write(&(PEOPLE.to_owned() + &good + &entry("orders", said)));
            let found = site.check().error(message, line);
            assert!(found.contains(help), "{said}: {found}");
        }
        for (said, message) in [
            (PEOPLE.replace("\"login\"", "\"logn\""), "has no column `logn`"),
            (PEOPLE.replace("mails.address", "mail.address"), "there is no data entry `mail`"),
            (PEOPLE.replace("mails.address", "orders.phone"), "does not say whose its rows are"),
            (PEOPLE.replace("\"email\"]", "\"email\"]\ndigits = 2"), "digits is from 3 to 15"),
            (PEOPLE.replace("\"email\"]", "\"email\"]\ncompare = { emial = \"exact\" }"), "no kind of identifier"),
        ] {
            site.write(&(said + &good + &entry("orders", "")));
            let answer = site.check();
            assert_eq!(answer.code, 3, "{}", answer.stderr);
            assert!(
                answer.stderr.contains(message) || format!("{:?}", answer.findings).contains(message),
                "{answer:?}"
            );
        }
    }
}

/// A column that must name the person cannot be anonymised: said so it is refused, meant so it is kept with a warning.
#[test]
fn an_anonymised_row_may_not_go_on_naming_the_person() {
    for mut site in staffed() {
        let body = |rest: &str| {
            let orders = "user = [\"staff_id\"]\nanonymise = { phone = \"null\" }\n".to_owned() + rest;
            PEOPLE.to_owned() + &entry("staff", "") + &entry("mails", "user = \"staff_id\"") + &entry("orders", &orders)
        };
        let answer = site.checked(&body("on_erasure = \"anonymise\""));
        let help = answer.error("an anonymised row would still name them", "on_erasure");
        assert!(help.contains("on_erasure = \"keep\""), "{help}");
        site.write(&body("on_expiry = \"anonymise\""));
        site.check().warning("an erasure would keep these rows", "user = [");
    }
}

/// A row of the persons' entry is one person: another one of their kind whom it names must not take it along.
#[test]
fn a_link_from_one_person_to_another_is_refused() {
    for mut site in staffed() {
        let body = |staff: &str| {
            PEOPLE.to_owned() + &entry("staff", staff) + &entry("mails", "user = \"staff_id\"") + &entry("orders", "")
        };
        for (said, by) in
            [("user = \"tenant\"", "\"tenant\""), ("user = { column = \"login\", before = \"@\" }", "\"login\"")]
        {
            let help = site.checked(&body(said)).error("names another one", "user = ");
            assert!(help.contains(&format!("unlink = {{ data = \"staff\", by = {by} }}")), "{help}");
        }
        site.checked(&body("user = \"id\"")).passes();
    }
}

/// What a report hides from whom a link names is a column.
#[test]
fn hidden_columns_are_held_against_the_catalog() {
    for mut site in staffed() {
        let body = |column: &str| {
            let link = format!("user = {{ column = \"staff_id\", hides = [\"{column}\"] }}");
            PEOPLE.to_owned() + &entry("staff", "") + &entry("mails", "user = \"staff_id\"") + &entry("orders", &link)
        };
        site.checked(&body("mailbox")).passes();
        let help = site.checked(&body("mailbx")).error("has no column `mailbx`", "hides");
        assert!(help.contains("did you mean `mailbox`?"), "{help}");
    }
}
