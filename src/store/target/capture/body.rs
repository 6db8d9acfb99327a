//! What a trigger does: one `INSERT` for each kind of change.

use super::{CHANGES, Capture, KEY, KINDS, REMOVES, Values};
use crate::store::catalog::{Column, TypeClass};
use crate::store::{Backend, Stmt};

/// Characters of a key that are written down; of a longer one its hash is.
const LONGEST_KEY: u64 = 400;

impl Capture {
    /// The body of PostgreSQL's function.
    pub(super) fn postgres_body(&self) -> Stmt {
        let mut body = Stmt::new("\nBEGIN\n");
        if let Some(proof) = &self.home.proof {
            body.sql("  IF encode(sha256(convert_to(current_setting('retentiond.removes', true), 'UTF8')), 'hex') = ");
            body.policy(proof.as_str()).sql(" THEN\n    RETURN NULL;\n  END IF;\n");
        }
        for kind in KINDS {
            body.sql("  IF TG_OP = ").policy(kind.to_ascii_uppercase()).sql(" THEN\n    ");
            self.write_insert(&mut body, kind);
            body.sql(";\n  END IF;\n");
        }
        body.sql("  RETURN NULL;\nEND ");
        body
    }

    /// What a trigger of MariaDB or SQLite does, and when: not while retentiond itself removes rows.
    pub(super) fn write_action(&self, stmt: &mut Stmt, kind: &'static str) {
        if self.backend == Backend::Sqlite {
            stmt.sql("WHEN NOT EXISTS (SELECT 1 FROM retentiond_actor WHERE name = ").policy(REMOVES).sql(") BEGIN ");
        }
        self.write_insert(stmt, kind);
        if self.backend == Backend::Mysql
            && let Some(proof) = &self.home.proof
        {
            stmt.sql(if kind == "delete" { " FROM DUAL WHERE " } else { " AND " });
            stmt.sql("NOT (SHA2(@retentiond_removes, 256) <=> ").policy(proof.as_str()).sql(")");
        }
        if self.backend == Backend::Sqlite {
            stmt.sql("; END");
        }
    }

    /// `INSERT INTO retentiond_changes … SELECT now, who, kind, entry, key, person, attribute, value FROM (attributes) c
    /// WHERE …`
    pub(super) fn write_insert(&self, stmt: &mut Stmt, kind: &'static str) {
        let row = if kind == "delete" { "OLD." } else { "NEW." };
        stmt.sql("INSERT INTO ");
        self.home.write(stmt, CHANGES);
        stmt.sql(" (changed_at, actor, action, data, row_key, person, attribute, new_value) SELECT ");
        stmt.sql(match self.backend {
            Backend::Postgres => {
                "clock_timestamp(), left(COALESCE(NULLIF(current_setting('retentiond.actor', true), ''), session_user), 200), "
            }
            Backend::Mysql => {
                "UTC_TIMESTAMP(6), LEFT(COALESCE(NULLIF(CAST(@retentiond_actor AS CHAR CHARACTER SET utf8mb4), ''), \
                 SESSION_USER()), 200), "
            }
            Backend::Sqlite => {
                "strftime('%Y-%m-%d %H:%M:%f', 'now'), COALESCE((SELECT name FROM retentiond_actor LIMIT 1), ''), "
            }
        });
        stmt.policy(kind).sql(", ").policy(self.data.as_str()).sql(", ");
        self.write_key(stmt, row);
        stmt.sql(", ");
        self.write_person(stmt, row);
        if kind == "delete" {
            stmt.sql(", '*', NULL");
            return;
        }
        stmt.sql(", c.attribute, ");
        self.write_value(stmt);
        stmt.sql(" FROM (");
        for (index, column) in self.columns.iter().enumerate() {
            stmt.sql(if index == 0 { "SELECT " } else { " UNION ALL SELECT " });
            stmt.policy(column.name.as_str()).sql(" AS attribute, ");
            if kind == "update" {
                self.as_text(stmt, column, "OLD.");
                stmt.sql(" AS was, ");
            }
            self.as_text(stmt, column, "NEW.");
            stmt.sql(" AS is_now");
        }
        stmt.sql(") c WHERE ");
        stmt.sql(match (kind, self.backend) {
            ("insert", _) => "c.is_now IS NOT NULL",
            (_, Backend::Postgres) => "c.was IS DISTINCT FROM c.is_now",
            (_, Backend::Mysql) => "NOT (BINARY c.was <=> BINARY c.is_now)",
            (_, Backend::Sqlite) => "c.was IS NOT c.is_now",
        });
    }

    /// The key as text, parts after each other, or its hash where it may be too long; a table without a key has none.
    fn write_key(&self, stmt: &mut Stmt, row: &'static str) {
        let key = self.whole_key(row);
        if self.backend == Backend::Sqlite || self.key_fits() {
            stmt.append(&key);
            return;
        }
        let (hash, end) = match self.backend {
            Backend::Mysql => ("CONCAT('sha256:', SHA2(", ", 256)) END"),
            Backend::Postgres | Backend::Sqlite => ("'sha256:' || encode(sha256(convert_to(", ", 'UTF8')), 'hex') END"),
        };
        stmt.sql("CASE WHEN CHAR_LENGTH(").append(&key).sql(") <= 400 THEN ").append(&key);
        stmt.sql(" ELSE ").sql(hash).append(&key).sql(end);
    }

    /// The key of the person whom the row names; of several, the first that is set. What is cut off a very long one makes it
    /// nobody's.
    fn write_person(&self, stmt: &mut Stmt, row: &'static str) {
        if self.person.is_empty() {
            stmt.sql("NULL");
            return;
        }
        let cut = self.backend != Backend::Sqlite;
        stmt.sql(if cut { "LEFT(COALESCE(" } else { "COALESCE(" });
        for column in &self.person {
            self.as_text(stmt, column, row);
            stmt.sql(", ");
        }
        stmt.sql(if cut { "NULL), 400)" } else { "NULL)" });
    }

    fn whole_key(&self, row: &'static str) -> Stmt {
        let mut stmt = Stmt::default();
        if self.key.is_empty() {
            stmt.sql("''");
            return stmt;
        }
        let joined = self.backend == Backend::Mysql && self.key.len() > 1;
        if joined {
            stmt.sql("CONCAT(");
        }
        for (index, column) in self.key.iter().enumerate() {
            if index > 0 {
                stmt.sql(if joined { ", ':', " } else { " || ':' || " });
            }
            // A key of the file's own choice may be NULL.
            stmt.sql("COALESCE(");
            self.as_text(&mut stmt, column, row);
            stmt.sql(", '')");
        }
        if joined {
            stmt.sql(")");
        }
        stmt
    }

    /// Whether no key can be longer than its column.
    fn key_fits(&self) -> bool {
        let longest = |column: &Column| match column.class {
            TypeClass::Text => column.max_chars,
            TypeClass::Bytes => column.max_chars.map(|bytes| bytes.saturating_mul(2)),
            TypeClass::Json | TypeClass::Enum | TypeClass::Other | TypeClass::Decimal => None,
            _ => Some(80),
        };
        let whole: Option<u64> = self.key.iter().map(|column| longest(column).map(|most| most.saturating_add(1))).sum();
        whole.is_some_and(|whole| whole <= LONGEST_KEY)
    }

    /// H(k ‖ H(k ‖ value)), so that nobody without the key can try out values; the key lies in `retentiond_capture_key`.
    fn write_value(&self, stmt: &mut Stmt) {
        let hashed = match (self.values, self.backend) {
            (Values::Plain, _) => {
                stmt.sql("c.is_now");
                return;
            }
            (Values::Hashed, Backend::Sqlite) => {
                stmt.sql("NULL");
                return;
            }
            (Values::Hashed, Backend::Postgres) => {
                "(SELECT encode(sha256(convert_to(k.secret || encode(sha256(convert_to(k.secret || c.is_now, 'UTF8')), \
                 'hex'), 'UTF8')), 'hex') FROM "
            }
            (Values::Hashed, Backend::Mysql) => {
                "(SELECT SHA2(CONCAT(k.secret, SHA2(CONCAT(k.secret, c.is_now), 256)), 256) FROM "
            }
        };
        stmt.sql(hashed);
        self.home.write(stmt, KEY);
        stmt.sql(" k)");
    }

    /// A value as text. Bytes are hexadecimal digits; many of them, which would be twice as many digits, are hashed.
    fn as_text(&self, stmt: &mut Stmt, column: &Column, row: &'static str) {
        let bytes = column.class == TypeClass::Bytes;
        let large = bytes && self.backend != Backend::Sqlite && column.max_chars.is_none_or(|most| most > 1_000_000);
        let (before, after) = match self.backend {
            Backend::Postgres if bytes => ("encode(", ", 'hex')"),
            Backend::Postgres => ("CAST(", " AS text)"),
            Backend::Mysql if bytes => ("HEX(", ")"),
            Backend::Mysql => ("CAST(", " AS CHAR CHARACTER SET utf8mb4)"),
            Backend::Sqlite if bytes => ("hex(", ")"),
            Backend::Sqlite => ("CAST(", " AS TEXT)"),
        };
        if !large {
            stmt.sql(before).sql(row).name(&column.name).sql(after);
            return;
        }
        let (hash, end) = match self.backend {
            Backend::Mysql => ("CONCAT('sha256:', SHA2(", ", 256)) END"),
            Backend::Postgres | Backend::Sqlite => ("'sha256:' || encode(sha256(", "), 'hex') END"),
        };
        stmt.sql("CASE WHEN OCTET_LENGTH(").sql(row).name(&column.name).sql(") > 1000000 THEN ");
        stmt.sql(hash).sql(row).name(&column.name).sql(end.trim_end_matches(" END"));
        stmt.sql(" ELSE ").sql(before).sql(row).name(&column.name).sql(after).sql(" END");
    }
}
