//! The gate: rows that every batch locks in share mode.
//!
//! **Invariant.** A batch is committed only if, in its own transaction, the gate bears exactly the token of the lease it
//! runs under. A process that takes a job over raises the token in a transaction of its own, which waits for batches in
//! flight and shuts out later ones. Placing a hold takes the row `hold` exclusively, for the same reason, and a batch knows
//! every hold that was placed before it had the gate. Tests: `store_connections::gate`.

use diesel::prelude::*;

use super::conn::on;
use super::{Access, Backend, Conn, Stmt, StoreError, held};

mod schema {
    diesel::table! {
        retentiond_gate (name) {
            name -> Text,
            token -> BigInt,
        }
    }
}

use schema::retentiond_gate;

/// Why a batch may not begin.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// Another process holds the job now.
    #[error("another process took the job over")]
    Overtaken,
    /// The database.
    #[error("{0}")]
    Store(#[from] StoreError),
}

fn row_name(job: &str) -> String {
    format!("job:{job}")
}

/// Raises the token of a job to ours.
///
/// # Errors
/// [`GateError::Overtaken`] when a greater one stands there.
pub fn raise(conn: &mut Conn, job: &str, token: i64) -> Result<(), GateError> {
    let name = row_name(job);
    conn.transaction(Access::ReadWrite, |conn| {
        let failed = |error: diesel::result::Error| StoreError::from_catalog(&error);
        let row = retentiond_gate::table.filter(retentiond_gate::name.eq(&name));
        let found: Option<i64> =
            on!(conn, raw => row.select(retentiond_gate::token).first::<i64>(raw).optional()).map_err(failed)?;
        let Some(found) = found else {
            let values = (retentiond_gate::name.eq(&name), retentiond_gate::token.eq(token));
            on!(conn, raw => diesel::insert_into(retentiond_gate::table).values(values).execute(raw))
                .map_err(failed)?;
            return Ok(());
        };
        if found > token {
            return Err(GateError::Overtaken);
        }
        let lower =
            retentiond_gate::table.filter(retentiond_gate::name.eq(&name)).filter(retentiond_gate::token.le(token));
        on!(conn, raw => diesel::update(lower).set(retentiond_gate::token.eq(token)).execute(raw)).map_err(failed)?;
        Ok(())
    })
}

/// Enters the gate within a batch's transaction.
///
/// # Errors
/// [`GateError::Overtaken`] when the token is not ours any more.
pub fn enter(conn: &mut Conn, job: &str, token: i64) -> Result<(), GateError> {
    let mut stmt = match conn.backend() {
        Backend::Postgres | Backend::Sqlite => {
            Stmt::new("SELECT name, CAST(token AS TEXT) FROM retentiond_gate WHERE name IN ('hold', ")
        }
        Backend::Mysql => Stmt::new("SELECT name, CAST(token AS CHAR) FROM retentiond_gate WHERE name IN ('hold', "),
    };
    let name = row_name(job);
    stmt.value(name.as_str()).sql(match conn.backend() {
        Backend::Postgres => ") FOR SHARE",
        Backend::Mysql => ") LOCK IN SHARE MODE",
        // BEGIN IMMEDIATE lets no other writer in.
        Backend::Sqlite => ")",
    });
    let rows = conn.rows(&stmt)?;
    let ours = rows.iter().any(|row| row.plain(0) == Some(name.as_str()) && row.count(1) == Some(token));
    if ours { Ok(()) } else { Err(GateError::Overtaken) }
}

/// Enters the gate, learns what is held ([`held::learn`]), and says whether the ledger knows the batch that is named.
///
/// PostgreSQL answers both in one question. It looks at held rows as they were when the question came, which may be before it
/// had the gate's rows: then the token of `hold` that it has locked is not the one that it saw, and it is asked again.
///
/// # Errors
/// Those of [`enter`] and of [`held::learn`].
pub fn enter_knowing(conn: &mut Conn, job: &str, token: i64, batch: Option<&str>) -> Result<bool, GateError> {
    if conn.backend() != Backend::Postgres {
        enter(conn, job, token)?;
        return Ok(held::learn_after(conn, batch)?);
    }
    let name = row_name(job);
    let mut stmt = Stmt::new("WITH gate AS (SELECT name, token FROM retentiond_gate WHERE name IN ('hold', ");
    stmt.value(name.as_str()).sql(
        ") FOR SHARE) SELECT name, CAST(token AS text) FROM gate UNION ALL SELECT 'seen', CAST(token AS text) FROM \
         retentiond_gate WHERE name = 'hold' UNION ALL SELECT data, NULL FROM (",
    );
    stmt.append(&held::question(batch)).sql(") known");
    let rows = conn.rows(&stmt)?;
    // An entry with held rows may be called as one of these, but has no token.
    let token_of = |name: &str| rows.iter().filter(|row| row.plain(0) == Some(name)).find_map(|row| row.count(1));
    if token_of(&name) != Some(token) {
        return Err(GateError::Overtaken);
    }
    if token_of("seen") != token_of("hold") {
        return Ok(held::learn_after(conn, batch)?);
    }
    let names = rows.iter().filter(|row| row.get(1).is_none()).filter_map(|row| row.plain(0));
    Ok(held::learnt(conn, names)? || batch.is_none())
}

fn look_name(person: &str) -> String {
    format!("look:{person}")
}

/// The number of the last look at the persons' table that this database remembers.
///
/// # Errors
/// When the database cannot be asked.
pub fn last_look(conn: &mut Conn, person: &str) -> Result<i64, StoreError> {
    let row = retentiond_gate::table.filter(retentiond_gate::name.eq(look_name(person))).select(retentiond_gate::token);
    let found: Option<i64> =
        on!(conn, raw => row.first(raw).optional()).map_err(|error| StoreError::from_catalog(&error))?;
    Ok(found.unwrap_or_default())
}

/// Remembers the number of a look in the persons' own database.
///
/// # Errors
/// When the database refuses.
pub fn note_look(conn: &mut Conn, person: &str, number: i64) -> Result<(), StoreError> {
    let failed = |error: diesel::result::Error| StoreError::from_catalog(&error);
    let name = look_name(person);
    let row = retentiond_gate::table.filter(retentiond_gate::name.eq(&name));
    let raised = on!(conn, raw => diesel::update(row).set(retentiond_gate::token.eq(number)).execute(raw));
    if raised.map_err(failed)? == 0 {
        let values = (retentiond_gate::name.eq(&name), retentiond_gate::token.eq(number));
        on!(conn, raw => diesel::insert_into(retentiond_gate::table).values(values).execute(raw)).map_err(failed)?;
    }
    Ok(())
}
