//! SQLite.

use super::*;

#[test]
fn sqlite_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("app.db").display());
    load(&url, include_str!("sqlite.sql"));
    let catalog = read(&url);
    let users = found(&catalog, "users");
    assert_eq!((users.label().as_str(), key(users), unique(users)), ("users", vec!["id"], vec!["id", "login"]));
    let column = |name| users.column(name).unwrap();
    assert!(column("id").auto && !column("id").nullable && users.rowid && users.has_index_on(&["id"]));
    for (name, wanted) in [
        ("id", SMALL),
        ("login", TypeClass::Text),
        ("group", SMALL),
        ("made", TypeClass::TimestampNaive),
        ("born", TypeClass::Date),
        ("ext", TypeClass::Uuid),
        ("raw", TypeClass::Bytes),
        ("ok", TypeClass::Boolean),
        ("price", TypeClass::Decimal),
        ("ratio", TypeClass::Real),
        ("bare", TypeClass::Other),
        ("note", TypeClass::Text),
    ] {
        assert_eq!(class(users, name), wanted, "{name}");
    }
    assert!(column("initials").generated && column("made").has_default && !column("born").has_default);
    assert_eq!(column("login").collation.as_deref(), Some("NOCASE"));
    assert!(users.has_index_on(&["group", "login"]), "its collation is the column's");
    assert!(!users.has_index_on(&["note"]), "another collation than the column's");
    assert_eq!(users.checks[0].columns, ["group", "note"]);
    let own = &users.foreign_keys[0];
    assert_eq!(
        (own.target.as_str(), own.target_columns[0].as_str(), own.on_delete),
        ("users", "id", FkAction::SetNull)
    );
    assert_eq!(users.triggers.len(), 2);
    assert!(users.triggers[0].before_delete() && users.triggers[1].update && !users.triggers[1].before_delete());

    let details = found(&catalog, "Order Details");
    assert_eq!((key(details), details.rowid), (vec!["a.b", "Order"], false));
    assert!(details.columns.iter().all(|column| !column.nullable));
    let camel = found(&catalog, "CamelCase");
    let fk = &camel.foreign_keys[0];
    assert_eq!((fk.columns.join(","), fk.target_columns.join(",")), ("ref,order".into(), "a.b,Order".into()));
    assert!(fk.deferrable && fk.on_delete == FkAction::Cascade && !own.deferrable);
    assert!(camel.has_index_on(&["ref", "order"]) && !camel.has_index_on(&["ref"]) && !camel.has_index_on(&["x"]));
    assert_eq!(
        camel.indexes.iter().find(|index| index.name == "camel_expr").unwrap().columns,
        [None, Some("ref".into())]
    );
    let textkey = found(&catalog, "textkey");
    assert!(textkey.column("code").unwrap().nullable && !textkey.column("code").unwrap().auto);
    assert_eq!(textkey.estimated_rows, Some(2), "by _rowid_, since a column is called rowid");
    assert_eq!(found(&catalog, "nokey").estimated_rows, Some(3));
    assert_eq!(found(&catalog, "v_users").kind, TableKind::View);
    assert_eq!(found(&catalog, "broken").kind, TableKind::View);
    assert_eq!(found(&catalog, "words").kind, TableKind::Virtual);
    assert!(matches!(catalog.find("sqlite_sequence"), Lookup::Missing { .. }));
    assert_eq!(near(&catalog, "USERS")[0], "users");
    load(&url, "ANALYZE;");
    assert_eq!(found(&read(&url), "nokey").estimated_rows, Some(3));
}
