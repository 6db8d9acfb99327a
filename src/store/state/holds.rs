//! Legal holds as the state remembers them: who, when and why; never about whom. A tenant's cases are that tenant's.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;

use super::schema::holds;
use crate::store::conn::on;
use crate::store::{Conn, StoreError};

/// A hold, or one that was.
#[derive(Clone, Debug, Queryable, Insertable)]
#[diesel(table_name = holds)]
pub struct HoldRecord {
    /// Its id; what it is about stands under this id in the purged databases.
    pub id: String,
    /// The case.
    pub hold_case: String,
    /// The kind of person, or `data`.
    pub what: String,
    /// The entry, for a hold on rows of one entry.
    pub data: Option<String>,
    /// Why.
    pub why: String,
    /// When it was placed.
    pub placed_at: NaiveDateTime,
    /// By which Unix user.
    pub placed_by: String,
    /// When it ends by itself.
    pub ends_at: Option<NaiveDateTime>,
    /// When it was released.
    pub released_at: Option<NaiveDateTime>,
    /// Who released it.
    pub released_by: Option<String>,
    /// The second person.
    pub approved_by: Option<String>,
    /// The number of who released it, or asked for that.
    pub released_uid: Option<i64>,
}

impl HoldRecord {
    /// Whether it holds now.
    pub fn is_active(&self, now: DateTime<Utc>) -> bool {
        self.released_at.is_none() && self.ends_at.is_none_or(|end| end > now.naive_utc())
    }
}

/// Remembers a hold.
///
/// # Errors
/// When the state cannot be written.
pub fn add_hold(conn: &mut Conn, hold: &HoldRecord) -> Result<(), StoreError> {
    let hold = &HoldRecord { hold_case: conn.scoped(&hold.hold_case), ..hold.clone() };
    on!(conn, raw => diesel::insert_into(holds::table).values(hold).execute(raw))
        .map(drop)
        .map_err(|error| StoreError::from_catalog(&error))
}

/// All holds, oldest first, those that ended included.
///
/// # Errors
/// When the state cannot be read.
pub fn all_holds(conn: &mut Conn) -> Result<Vec<HoldRecord>, StoreError> {
    let query = holds::table.order((holds::placed_at, holds::id)).select(holds::all_columns);
    let all = on!(conn, raw => query.load::<HoldRecord>(raw)).map_err(|error| StoreError::from_catalog(&error))?;
    let own = |hold: HoldRecord| Some(HoldRecord { hold_case: conn.unscoped(&hold.hold_case)?.to_owned(), ..hold });
    Ok(all.into_iter().filter_map(own).collect())
}

/// Remembers that a case was released, and by which two persons; gives the number of holds that this ended.
///
/// # Errors
/// When the state cannot be written.
pub fn release_case(
    conn: &mut Conn,
    case: &str,
    (by, approved_by): (&str, &str),
    now: DateTime<Utc>,
) -> Result<usize, StoreError> {
    let mine = holds::table.filter(holds::hold_case.eq(conn.scoped(case))).filter(holds::released_at.is_null());
    let changes =
        (holds::released_at.eq(now.naive_utc()), holds::released_by.eq(by), holds::approved_by.eq(approved_by));
    on!(conn, raw => diesel::update(mine).set(changes).execute(raw)).map_err(|error| StoreError::from_catalog(&error))
}

/// Remembers who was the first of two persons to ask for the release of a case: of its holds that stand and for which
/// nobody asked before. One that is placed later was not meant.
///
/// # Errors
/// When the state cannot be written.
pub fn ask_release(conn: &mut Conn, case: &str, (by, uid): (&str, u32)) -> Result<(), StoreError> {
    let mine = holds::table
        .filter(holds::hold_case.eq(conn.scoped(case)))
        .filter(holds::released_at.is_null())
        .filter(holds::released_by.is_null());
    let changes = (holds::released_by.eq(by), holds::released_uid.eq(i64::from(uid)));
    on!(conn, raw => diesel::update(mine).set(changes).execute(raw))
        .map(drop)
        .map_err(|error| StoreError::from_catalog(&error))
}

/// Remembers that the second of two persons wants what the first asked for; gives the number of holds that this ended.
///
/// # Errors
/// When the state cannot be written.
pub fn grant_release(
    conn: &mut Conn,
    case: &str,
    (first, second): (&str, &str),
    now: DateTime<Utc>,
) -> Result<usize, StoreError> {
    let asked = holds::table
        .filter(holds::hold_case.eq(conn.scoped(case)))
        .filter(holds::released_at.is_null())
        .filter(holds::released_by.eq(first));
    let changes = (holds::released_at.eq(now.naive_utc()), holds::approved_by.eq(second));
    on!(conn, raw => diesel::update(asked).set(changes).execute(raw)).map_err(|error| StoreError::from_catalog(&error))
}
