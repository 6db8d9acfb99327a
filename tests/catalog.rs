//! What the catalog says of real databases: every oddity that a deletion must know of.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "catalog/sqlite.rs"]
mod sqlite;
mod support;

use diesel::Connection;
use diesel::connection::SimpleConnection;
use retentiond::store::catalog::{Catalog, FkAction, Lookup, Table, TableKind, Timing, TypeClass};
use retentiond::store::{Database, DatabaseSpec, StoreUrl};

type Mysql = diesel_async::async_connection_wrapper::AsyncConnectionWrapper<diesel_async::AsyncMysqlConnection>;

/// Runs a script of many statements; each ends with `;` at the end of a line.
fn load(url: &str, script: &str) {
    let pieces = script.split(";\n").map(str::trim).filter(|sql| !sql.is_empty());
    if let Some(path) = url.strip_prefix("sqlite:") {
        diesel::SqliteConnection::establish(path).unwrap().batch_execute(script).unwrap();
    } else if url.starts_with("mysql") {
        let mut conn = Mysql::establish(url).unwrap();
        for sql in pieces {
            conn.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
    } else {
        let mut conn = diesel::PgConnection::establish(url).unwrap();
        conn.batch_execute(script).unwrap();
    }
}

fn open(url: &str) -> Database {
    Database::open(DatabaseSpec::new("operative", StoreUrl::parse(url).unwrap())).unwrap()
}

fn read(url: &str) -> Catalog {
    Catalog::read(&mut open(url).conn().unwrap()).unwrap()
}

fn found<'a>(catalog: &'a Catalog, name: &str) -> &'a Table {
    match catalog.find(name) {
        Lookup::Found(table) => table,
        other => panic!("{name}: {other:?}"),
    }
}

fn class(table: &Table, column: &str) -> TypeClass {
    table.column(column).unwrap_or_else(|| panic!("no {column}")).class
}

fn key(table: &Table) -> Vec<&str> {
    table.key_columns().map(|column| column.name.as_str()).collect()
}

fn unique(table: &Table) -> Vec<&str> {
    table.columns.iter().filter(|column| column.unique).map(|column| column.name.as_str()).collect()
}

fn referring<'a>(catalog: &'a Catalog, name: &str) -> Vec<(String, &'a str)> {
    let refs = catalog.references_to(found(catalog, name));
    let mut refs: Vec<_> = refs.into_iter().map(|(table, key)| (table.label(), key.name.as_str())).collect();
    refs.sort();
    refs
}

fn near(catalog: &Catalog, name: &str) -> Vec<String> {
    match catalog.find(name) {
        Lookup::Missing { near } => near,
        other => panic!("{name}: {other:?}"),
    }
}

const SMALL: TypeClass = TypeClass::Integer { unsigned_big: false };

#[test]
fn postgresql_is_read_whole() {
    let url = support::postgres().fresh_database();
    load(&url, include_str!("catalog/postgres.sql"));
    let catalog = read(&url);
    assert_eq!(catalog.default_schema.as_deref(), Some("public"));
    assert!(catalog.version.at_least(12, 0) && !catalog.version.mariadb);

    let users = found(&catalog, "users");
    assert_eq!(users.label(), "public.users");
    assert_eq!(key(users), ["id"]);
    assert_eq!(unique(users), ["id", "login"]);
    let column = |name| users.column(name).unwrap();
    assert!(column("id").auto && column("id").has_default && !column("id").nullable);
    assert_eq!((column("login").max_chars, column("login").nullable), (Some(40), false));
    assert_eq!(column("mood").enum_labels, ["sad", "it's ok", "happy"]);
    assert_eq!((column("mood").class, column("mood").sql_type.as_str()), (TypeClass::Enum, "mood"));
    assert_eq!((column("nick").class, column("nick").max_chars), (TypeClass::Text, Some(20)));
    assert_eq!((column("nick").sql_type.as_str(), column("nick").nullable), ("character varying", false));
    assert_eq!(column("nick").declared, "shorter");
    assert!(column("initials").generated && !column("initials").has_default);
    assert_eq!(column("note").collation.as_deref(), Some("C"));
    assert_eq!(column("login").collation, None);
    assert_eq!(users.checks.len(), 1, "{:?}", users.checks);
    assert_eq!(users.checks[0].columns, ["group", "note"]);
    assert_eq!(users.materialised_by, ["archive.mv"]);
    assert_eq!(
        referring(&catalog, "users"),
        [("public.events".to_owned(), "events_user_id_fkey"), ("public.users".to_owned(), "users_manager_id_fkey"),]
    );
    let own = &users.foreign_keys[0];
    assert_eq!((own.on_delete, own.deferrable, own.enforced), (FkAction::SetNull, false, true));
}

#[test]
fn keys_and_types_of_postgresql_are_read() {
    let url = support::postgres().fresh_database();
    load(&url, include_str!("catalog/postgres.sql"));
    let catalog = read(&url);
    let camel = found(&catalog, "CamelCase");
    let fk = &camel.foreign_keys[0];
    assert_eq!((fk.columns.join(","), fk.target_columns.join(",")), ("uuid,order".into(), "a.b,Order".into()));
    assert_eq!((fk.on_delete, fk.deferrable, fk.target.as_str()), (FkAction::Cascade, true, "Order Details"));
    assert!(camel.has_index_on(&["order", "uuid"]) && camel.has_index_on(&["uuid"]));
    assert!(!camel.has_index_on(&["order"]) && !camel.has_index_on(&["x"]));
    assert!(!camel.has_index_on(&["uuid", "order", "x"]), "included columns do not count");
    assert!(key(camel).is_empty());
    assert_eq!(key(found(&catalog, "Order Details")), ["a.b", "Order"]);
    assert!(found(&catalog, "Order Details").column("n").unwrap().auto);

    let nokey = found(&catalog, "nokey");
    let classes = [
        ("a", SMALL),
        ("b", TypeClass::Real),
        ("c", TypeClass::TimestampNaive),
        ("d", TypeClass::Time),
        ("e", TypeClass::Json),
        ("f", TypeClass::Inet),
        ("g", TypeClass::Bytes),
        ("h", TypeClass::Decimal),
        ("i", TypeClass::Boolean),
        ("j", TypeClass::Other),
        ("k", TypeClass::Other),
        ("l", TypeClass::Text),
    ];
    for (name, wanted) in classes {
        assert_eq!(class(nokey, name), wanted, "{name}");
    }
    assert_eq!(nokey.column("c").unwrap().sql_type.as_str(), "timestamp without time zone");
    assert_eq!(nokey.column("l").unwrap().sql_type.as_str(), "bpchar");
    assert_eq!(nokey.column("l").unwrap().max_chars, Some(5));
    assert_eq!(nokey.estimated_rows, None);

    let users = found(&catalog, "users");
    let archived = found(&catalog, "archive.users");
    assert_eq!(class(archived, "at"), TypeClass::TimestampZoned);
    assert_eq!((archived.estimated_rows, archived.column("at").unwrap().correlation), (Some(1000), Some(1.0)));
    assert!(archived.pages > Some(0));

    let secret = found(&catalog, "secret");
    assert!(secret.row_security && !secret.row_security_active, "a superuser sees everything");
    assert_eq!(found(&catalog, "v_users").kind, TableKind::View);
    assert_eq!(found(&catalog, "mv").kind, TableKind::View);
    assert!(found(&catalog, "ruled").rules && !users.rules && !found(&catalog, "v_users").rules);
    let triggers = &found(&catalog, "queues").triggers;
    assert_eq!(triggers.len(), 1, "{triggers:?}");
    assert!(triggers[0].before_delete() && triggers[0].update && !triggers[0].insert);
    assert!(users.privileges.delete && users.privileges.select && users.privileges.update && users.privileges.insert);
    assert!(near(&catalog, "passing").is_empty());
}

#[test]
fn partitions_of_postgresql_stand_with_their_parent() {
    let url = support::postgres().fresh_database();
    load(&url, include_str!("catalog/postgres.sql"));
    let catalog = read(&url);
    // `events` stands in three schemas; the default one wins.
    let events = found(&catalog, "events");
    assert_eq!((events.label().as_str(), events.kind), ("public.events", TableKind::Partitioned));
    let parts: Vec<(String, bool)> = events.partitions.iter().map(|part| (part.label(), part.leaf)).collect();
    assert_eq!(
        parts,
        [("archive.events_2a".into(), true), ("public.events_1".into(), true), ("public.events_2".into(), false)]
    );
    let keys: Vec<_> = events.foreign_keys.iter().map(|key| (key.name.as_str(), key.on_partition.as_deref())).collect();
    assert_eq!(keys, [("events_user_id_fkey", None), ("only_here", Some("public.events_1"))]);
    assert_eq!(events.foreign_keys[1].on_delete, FkAction::Restrict);
    let leaf = found(&catalog, "events_1");
    assert_eq!(leaf.foreign_keys.len(), 2);
    assert!(leaf.foreign_keys.iter().all(|key| key.on_partition.is_none()));
    assert_eq!(leaf.ancestors[0].label(), "public.events");
    assert_eq!(found(&catalog, "events_2a").ancestors.len(), 2);
    let triggers: Vec<_> = events.triggers.iter().map(|one| (one.name.as_str(), one.on_partition.as_deref())).collect();
    assert_eq!(triggers, [("all_parts", None), ("one_part", Some("public.events_1"))]);
    assert_eq!(events.triggers[0].timing, Timing::After);

    let refers = "refers_event_event_at_fkey";
    assert_eq!(referring(&catalog, "events"), [("public.refers".to_owned(), refers)]);
    assert_eq!(referring(&catalog, "events_1"), [("public.refers".to_owned(), refers)]);
    assert_eq!(referring(&catalog, "queues"), [("public.events".to_owned(), "only_here")]);
    let old = found(&catalog, "parent_old");
    assert_eq!((old.kind, old.partitions.len()), (TableKind::Table, 1));
    assert_eq!(found(&catalog, "child_old").ancestors.len(), 1);
}

#[test]
fn names_are_found_exactly_or_proposed() {
    let url = support::postgres().fresh_database();
    load(&url, include_str!("catalog/postgres.sql"));
    let mut catalog = read(&url);
    assert_eq!(found(&catalog, "dotted.name").label(), "public.dotted.name");
    assert_eq!(found(&catalog, "Odd.Schema.events").label(), "Odd.Schema.events");
    assert_eq!(near(&catalog, "camelcase")[0], "CamelCase");
    assert_eq!(near(&catalog, "Users"), ["users", "archive.users", "v_users"]);
    assert_eq!(near(&catalog, "queue")[0], "queues");
    assert!(near(&catalog, "zzzzzz").is_empty());
    assert!(near(&catalog, "").is_empty());
    catalog.default_schema = Some("elsewhere".to_owned());
    match catalog.find("events") {
        Lookup::Ambiguous(names) => assert_eq!(names, ["Odd.Schema.events", "archive.events", "public.events"]),
        other => panic!("{other:?}"),
    }
    assert_eq!(found(&catalog, "queues").label(), "public.queues");
}

#[test]
fn a_role_of_postgresql_sees_its_privileges() {
    let server = support::postgres();
    let url = server.fresh_database();
    load(&url, include_str!("catalog/postgres.sql"));
    let role = format!("purger_{}", std::process::id());
    load(&url, &format!("CREATE ROLE {role} LOGIN; GRANT SELECT, DELETE ON secret TO {role};
        GRANT SELECT ON users TO {role}; GRANT UPDATE (note) ON users TO {role}; GRANT SELECT ON archive.users TO {role};"));
    let catalog = read(&url.replace("postgres@", &format!("{role}@")));
    let secret = found(&catalog, "secret");
    assert!(secret.row_security_active && secret.privileges.delete && !secret.privileges.update);
    let users = found(&catalog, "users");
    assert!(users.privileges.select && users.privileges.update && !users.privileges.delete);
    let archived = found(&catalog, "archive.users");
    assert!(!archived.privileges.select, "the schema may not be used");
    load(&url, &format!("DROP OWNED BY {role}; DROP ROLE {role};"));
}

#[test]
fn mariadb_is_read_whole() {
    let url = support::mariadb().fresh_database();
    load(&url, include_str!("catalog/mysql.sql"));
    let catalog = read(&url);
    assert!(catalog.version.mariadb, "{:?}", catalog.version);
    let users = found(&catalog, "users");
    assert_eq!(users.label(), "users");
    assert_eq!((key(users), unique(users)), (vec!["id"], vec!["id", "login", "raw"]));
    let column = |name| users.column(name).unwrap();
    assert_eq!(column("id").class, TypeClass::Integer { unsigned_big: true });
    assert!(column("id").auto && !column("id").nullable);
    assert_eq!(column("mood").enum_labels, ["sad", "it's ok", "happy"]);
    assert_eq!(column("tags").enum_labels, ["a", "b"]);
    for (name, wanted) in [
        ("group", SMALL),
        ("mood", TypeClass::Enum),
        ("tags", TypeClass::Other),
        ("on_", TypeClass::Boolean),
        ("updated", TypeClass::TimestampZoned),
        ("doc", TypeClass::Json),
        ("ext", TypeClass::Uuid),
        ("ip", TypeClass::Inet),
        ("raw", TypeClass::Bytes),
        ("amount", TypeClass::Decimal),
        ("note", TypeClass::Text),
    ] {
        assert_eq!(class(users, name), wanted, "{name}");
    }
    assert!(column("initials").generated && column("updated").on_update_now && !column("on_").on_update_now);
    assert!(column("on_").has_default && !column("group").has_default && column("group").nullable);
    assert_eq!((column("login").max_chars, column("raw").max_chars), (Some(40), Some(16)));
    assert_eq!(column("note").collation.as_deref(), Some("latin1_german1_ci"));
    let sane = users.checks.iter().find(|check| check.name == "sane").unwrap();
    assert_eq!(sane.columns, ["group", "amount"]);
    assert_eq!(users.foreign_keys[0].on_delete, FkAction::SetNull);
    assert_eq!(referring(&catalog, "users").len(), 1);
    assert!(users.transactional && users.engine.as_deref() == Some("InnoDB") && users.privileges.delete);
    assert!(users.estimated_rows.is_some() && users.pages > Some(0));

    let camel = found(&catalog, "CamelCase");
    let fk = &camel.foreign_keys[0];
    assert_eq!((fk.columns.join(","), fk.target_columns.join(",")), ("ref,order".into(), "a.b,Order".into()));
    assert_eq!((fk.on_delete, fk.target.as_str()), (FkAction::Cascade, "Order Details"));
    assert!(camel.has_index_on(&["order", "ref"]) && !camel.has_index_on(&["order"]));
    assert!(unique(camel).is_empty(), "a unique prefix is no unique column");
    assert!(!found(&catalog, "asleep").has_index_on(&["x"]));

    let isam = found(&catalog, "isam");
    assert!(!isam.transactional && isam.triggers.len() == 2 && isam.triggers[0].before_delete());
    assert!(isam.triggers[1].update && isam.triggers[1].timing == Timing::After);
    assert!(!found(&catalog, "mem").transactional && key(found(&catalog, "mem")).is_empty());
    let parts = found(&catalog, "parts");
    assert_eq!((parts.kind, parts.partitions.len()), (TableKind::Partitioned, 2));
    assert!(found(&catalog, "history").keeps_history && !users.keeps_history);
    assert_eq!(found(&catalog, "v_users").kind, TableKind::View);
    assert_eq!(found(&catalog, "v_users").columns.len(), 2);
    assert!(near(&catalog, "seq").is_empty());
}

#[test]
fn an_account_of_mariadb_sees_its_privileges() {
    let url = support::mariadb().fresh_database();
    load(&url, include_str!("catalog/mysql.sql"));
    let (account, role) = (format!("purger{}", std::process::id()), format!("role{}", std::process::id()));
    load(
        &url,
        &format!(
            "CREATE USER {account}@'%';\nCREATE USER {account}@'localhost';\nCREATE ROLE {role};\n\
        GRANT SELECT, DELETE ON isam TO {account}@'%', {account}@'localhost';\n\
        GRANT SELECT ON users TO {account}@'%', {account}@'localhost';\n\
        GRANT UPDATE (note) ON users TO {account}@'%', {account}@'localhost';\n\
        GRANT DELETE ON mem TO {role};\nGRANT {role} TO {account}@'%', {account}@'localhost';\n\
        SET DEFAULT ROLE {role} FOR {account}@'%';\nSET DEFAULT ROLE {role} FOR {account}@'localhost';\n"
        ),
    );
    let catalog = read(&url.replace("root@", &format!("{account}@")));
    let isam = found(&catalog, "isam").privileges;
    assert!(isam.select && isam.delete && !isam.update && !isam.insert);
    let users = found(&catalog, "users").privileges;
    assert!(users.select && users.update && !users.delete);
    assert!(found(&catalog, "mem").privileges.delete, "through its role");
    load(&url, &format!("DROP USER {account}@'%', {account}@'localhost';\nDROP ROLE {role};\n"));
}

#[test]
fn a_trigger_that_does_something_else_makes_it_another_table() {
    let cases = [
        (
            support::postgres().fresh_database(),
            "CREATE TABLE t (id int PRIMARY KEY);
             CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER g BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION f();",
            "CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';",
        ),
        (
            support::mariadb().fresh_database(),
            "CREATE TABLE t (id int PRIMARY KEY);
             CREATE TRIGGER g BEFORE DELETE ON t FOR EACH ROW SET @x = 1;",
            "CREATE OR REPLACE TRIGGER g BEFORE DELETE ON t FOR EACH ROW SET @x = 2;",
        ),
    ];
    for (url, before, change) in cases {
        support::run_sql(&url, before);
        let fingerprint = || found(&read(&url), "t").fingerprint();
        let first = fingerprint();
        assert_eq!(first, fingerprint(), "the same table is the same");
        support::run_sql(&url, change);
        assert_ne!(first, fingerprint(), "{url}");
    }
}
