//! Requests that come by themselves: rows of a request table, and statements at each period.
//!
//! **Invariant.** One row is one request, and one person has one statement a period, however often a run is repeated or
//! killed: what a request comes from is remembered, as a keyed hash, in the same statement as the request. A row is known
//! by its key and by what it asks for and when: a new row under a key that was used before is another request. It is
//! marked as answered only after its own request has ended, by the guarded statement that holds apply to and that asks for
//! all of this again. A row that cannot be taken in is named, and keeps none that come after it. Tests: `reports_mailed`.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::PersonalDataReport;
use crate::graph::Node;
use crate::graph::walk::find;
use crate::jobs::session::{Look, Session};
use crate::redact::Sealed;
use crate::removal::RemovalError;
use crate::store::catalog::Column;
use crate::store::state;
use crate::store::target::statements;
use crate::store::{Access, gate};

mod periods;
mod row;

pub use periods::Per;
use row::{Row, Shape};

/// The columns of a request table.
pub(super) const COLUMNS: [&str; 4] = ["person_kind", "identifier_kind", "identifier", "answered_at"];
/// Rows of one look.
const PAGE: u64 = 500;

/// How many rows of the request table wait that have made no request yet.
pub(super) fn waiting(job: &PersonalDataReport, look: &Look<'_>) -> Result<u64, RemovalError> {
    let Some(shape) = table(job, look).and_then(Shape::of) else { return Ok(0) };
    // A plan writes nothing: without a key no row is known yet.
    let secret = state::known_lasting_key(&mut *look.memory.conn()?)?.unwrap_or_else(|| Sealed::new(String::new()));
    let (mut new, mut after) = (0, None);
    loop {
        let page = shape.page(look, &secret, after.as_deref())?;
        let mut conn = look.memory.conn()?;
        for row in &page {
            new += u64::from(!state::knows_origin(&mut conn, job.name.as_str(), &row.origin)?);
        }
        match page.into_iter().last() {
            Some(last) => after = Some(last.key),
            None => return Ok(new),
        }
    }
}

/// Takes in what came since; gives what could not be taken, in words.
pub(super) fn take(job: &PersonalDataReport, session: &mut Session<'_>) -> Result<Vec<String>, RemovalError> {
    let mut refused = Vec::new();
    if let Some(node) = table(job, &session.look)
        && let Some(shape) = Shape::of(node)
    {
        let secret = secret(&session.look)?;
        if shape.any_without_key(&session.look)? {
            refused.push(format!("rows of `{}`: their key is NULL", node.name));
        }
        let mut after: Option<Vec<Sealed>> = None;
        loop {
            let page = shape.page(&session.look, &secret, after.as_deref())?;
            for row in &page {
                if session.permit.next()?.is_some() {
                    return Ok(counted(refused));
                }
                let asked = shape.asked(row, &session.look);
                match asked.and_then(|asked| session.desk.take(&job.name, &asked)) {
                    Ok(_) => {}
                    Err(RemovalError::Refused(why)) => refused.push(format!("a row of `{}`: {why}", node.name)),
                    Err(error) => return Err(error),
                }
            }
            match page.into_iter().last() {
                Some(last) => after = Some(last.key),
                None => break,
            }
        }
    }
    periods::take(job, session, &mut refused)?;
    Ok(counted(refused))
}

/// The same for many rows is said once.
fn counted(refused: Vec<String>) -> Vec<String> {
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    refused.into_iter().for_each(|why| *counted.entry(why).or_default() += 1);
    counted.into_iter().map(|(why, rows)| if rows > 1 { format!("{why} ({rows} times)") } else { why }).collect()
}

fn table<'a>(job: &PersonalDataReport, look: &Look<'a>) -> Option<&'a Node> {
    look.graph.node(job.spec.requests.as_ref()?)
}

fn secret(look: &Look<'_>) -> Result<Sealed, RemovalError> {
    Ok(state::lasting_key(&mut *look.memory.conn()?, look.now)?)
}

/// Parts as a keyed hash: what a request comes from may be known by what names a person.
fn digest<'a>(secret: &Sealed, parts: impl Iterator<Item = &'a str>) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else { return String::new() };
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}

/// Marks rows whose requests have ended.
pub(super) fn mark_answered(job: &PersonalDataReport, session: &mut Session<'_>) -> Result<(), RemovalError> {
    let Some(node) = table(job, &session.look) else { return Ok(()) };
    let Some(shape) = Shape::of(node) else { return Ok(()) };
    let ended: BTreeMap<String, NaiveDateTime> = state::requests(&mut *session.look.memory.conn()?)?
        .into_iter()
        .filter(|request| request.job == job.name.as_str())
        .filter_map(|request| Some((request.origin_key?, request.ended_at?)))
        .collect();
    if ended.is_empty() {
        return Ok(());
    }
    let secret = secret(&session.look)?;
    let mut after: Option<Vec<Sealed>> = None;
    loop {
        let page = shape.page(&session.look, &secret, after.as_deref())?;
        for row in &page {
            if let Some(at) = ended.get(&row.origin) {
                mark(job, session, (node, &shape), row, *at)?;
            }
        }
        match page.into_iter().last() {
            Some(last) => after = Some(last.key),
            None => return Ok(()),
        }
    }
}

fn mark(
    job: &PersonalDataReport,
    session: &Session<'_>,
    (node, shape): (&Node, &Shape<'_>),
    row: &Row,
    at: NaiveDateTime,
) -> Result<(), RemovalError> {
    let Some(age) = node.age.as_ref() else { return Ok(()) };
    if !session.permit.holds() {
        return Err(RemovalError::Overtaken);
    }
    let value: Vec<(Column, Option<Sealed>)> =
        vec![(age.column.clone(), Some(Sealed::new(age.cutoff_text(at.and_utc()))))];
    let guarded = session.look.graph.guard(node, shape.only(row));
    let stmt = statements::overwrite_row(node.backend, &node.at, &value, &guarded);
    let fenced = session.ledgers.get(&node.store).copied().unwrap_or_default();
    let mut conn = find::open(session.look.stores, node)?;
    conn.transaction(Access::ReadWrite, |conn| -> Result<(), RemovalError> {
        if fenced {
            gate::enter(conn, job.name.as_str(), session.token).map_err(|error| match error {
                gate::GateError::Overtaken => RemovalError::Overtaken,
                gate::GateError::Store(error) => RemovalError::Store(error),
            })?;
        }
        conn.execute(&stmt)?;
        Ok(())
    })
}
