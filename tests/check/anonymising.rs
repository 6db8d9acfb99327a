//! Anonymising.

use crate::site::*;

/// What `check` says of `anonymise = { COLUMN = STRATEGY }` on one table: message and help.
fn refused_strategies(site: &mut Site, time: &str, cases: &[(&str, &str, &str, &str)]) {
    for (column, strategy, message, help) in cases {
        let rest = format!("{time}\non_expiry = \"anonymise\"\nanonymise = {{ {column} = \"{strategy}\" }}");
        let answer = site.checked(&(entry("orders", &rest) + JOB));
        assert_eq!(answer.code, 3, "{column} = {strategy}");
        let said = answer.error(message, "anonymise = {");
        assert!(said.contains(help), "{column}: {said}");
        assert_eq!(answer.errors(), 1, "{:#?}", answer.findings);
    }
}

#[test]
fn strategies_that_a_column_would_refuse_are_refused() {
    let columns = "id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL, name VARCHAR(40) NOT NULL, login VARCHAR(40) UNIQUE,
                   country VARCHAR(2), price INTEGER NOT NULL";
    let general = [
        ("name", "null", "`name` may not be NULL", "text:"),
        ("price", "null", "`price` may not be NULL", "zero"),
        ("login", "text:gone", "`login` is unique: the second row would collide with the first", "hash:"),
        ("country", "text:removed", "the text needs 7 characters, and `country` has room for 2", ""),
        ("price", "text:removed", "which takes no text", ""),
        ("name", "zero", "`name` is of type", ""),
    ];
    let mut pg = postgres(&format!(
        "CREATE TYPE colour AS ENUM ('red', 'none');
         CREATE TABLE orders ({columns}, shade colour, payload JSONB, shout TEXT GENERATED ALWAYS AS (upper(name)) STORED);"
    ));
    let mut my = mariadb(&format!(
        "CREATE TABLE orders ({columns}, shade ENUM('red', 'none'), payload JSON, shout VARCHAR(40) AS (upper(name)) STORED);"
    ));
    for site in [&mut pg, &mut my] {
        refused_strategies(site, TIME, &general);
        let special = [
            ("shade", "text:removed", "`removed` is not one of the values of `shade`: red, none", ""),
            ("payload", "text:removed", "`payload` holds JSON, and `removed` is none", ""),
            ("shout", "text:removed", "`shout` is computed by the database and cannot be written", ""),
        ];
        refused_strategies(site, TIME, &special);
        let good = "on_expiry = \"anonymise\"\nanonymise = { name = \"text:gone\", login = \"null\", country = \"text:--\", \
                    price = \"zero\", shade = \"text:none\", payload = \"text:{}\" }";
        site.checked(&(entry("orders", &format!("{TIME}\n{good}")) + JOB)).passes();
    }
    let mut lite = sqlite(&format!("CREATE TABLE orders ({columns}, shout TEXT AS (upper(name)));"));
    refused_strategies(&mut lite, TEXT_TIME, &general[..3]);
    let special = [("shout", "text:removed", "`shout` is computed by the database and cannot be written", "")];
    refused_strategies(&mut lite, TEXT_TIME, &special);
}

#[test]
fn a_key_is_not_overwritten() {
    let sql = "CREATE TABLE orders (region INTEGER NOT NULL, id INTEGER NOT NULL, made_at TIMESTAMP NULL, PRIMARY KEY (region, id));";
    for (mut site, time) in [(sqlite(sql), TEXT_TIME), (postgres(sql), TIME), (mariadb(sql), TIME)] {
        refused_strategies(&mut site, time, &[("region", "zero", "`region` is part of the key of", "")]);
    }
}

#[test]
fn a_time_that_moves_cannot_age_what_is_anonymised() {
    let mut site = mariadb(
        "CREATE TABLE orders (id INT PRIMARY KEY, name VARCHAR(40) NULL,
             made_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP);",
    );
    let moving = entry("orders", &format!("{TIME}\non_expiry = \"anonymise\"\nanonymise = {{ name = \"null\" }}"));
    let help = site
        .checked(&(moving + JOB))
        .error("would set `made_at` to the present (ON UPDATE CURRENT_TIMESTAMP)", "time = ");
    assert_eq!(help, "age the row by a column that does not move");
    site.checked(&(entry("orders", TIME) + JOB)).passes();
}
