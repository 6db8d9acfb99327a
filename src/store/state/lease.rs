//! Leases: one process at a time works on a job.
//!
//! **Invariant.** The token of a lease only grows, and grows with each new holder. A holder that was suspended past its
//! lease carries a smaller token than the gate of each store, so its next batch is refused there.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::holder;
use super::schema::leases;
use crate::store::conn::on;
use crate::store::{Conn, StoreError};

/// The right to work on a job until it expires.
#[derive(Clone, Debug)]
pub struct Lease {
    job: String,
    holder: String,
    token: i64,
}

/// Why a lease was not had.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else has it.
    #[error("held by {by} until {until}")]
    Held {
        /// Who.
        by: String,
        /// Until when, unless it is renewed.
        until: DateTime<Utc>,
    },
    /// The state could not be asked.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl Lease {
    /// Takes the lease of a job, if nobody has it, its holder let it expire, or its holder's process is gone from this
    /// host ([`super::this_process`]); such a process cannot work under it any more.
    ///
    /// `now` is the state's own time ([`super::server_now`]), so that daemons whose clocks differ agree when a lease ends.
    ///
    /// # Errors
    /// [`LeaseError::Held`] when somebody else has it; a constraint's error when somebody took the job's very first lease
    /// at the same moment.
    pub(super) fn acquire(
        conn: &mut Conn,
        job: &str,
        name: &str,
        now: DateTime<Utc>,
        ttl: Duration,
    ) -> Result<Self, LeaseError> {
        let expires = (now + ttl).naive_utc();
        // Two looks: between the first and the change of a row, another process may have been quicker. Where it inserted
        // the first row, PostgreSQL ends our transaction: that is a constraint's error, and the caller begins again.
        for _ in 0..2 {
            let Some((by, token, until)) = current(conn, job)? else {
                let first = (
                    leases::job.eq(job),
                    leases::holder.eq(name),
                    leases::token.eq(1_i64),
                    leases::expires_at.eq(expires),
                );
                on!(conn, raw => diesel::insert_into(leases::table).values(first).execute(raw))
                    .map_err(|error| StoreError::from_catalog(&error))?;
                return Ok(Self { job: job.to_owned(), holder: name.to_owned(), token: 1 });
            };
            if until > now && !holder::is_gone(&by) {
                return Err(LeaseError::Held { by, until });
            }
            let same = leases::table.filter(leases::job.eq(job)).filter(leases::token.eq(token));
            let changes = (leases::holder.eq(name), leases::token.eq(token + 1), leases::expires_at.eq(expires));
            let changed = on!(conn, raw => diesel::update(same).set(changes).execute(raw))
                .map_err(|error| StoreError::from_catalog(&error))?;
            if changed == 1 {
                return Ok(Self { job: job.to_owned(), holder: name.to_owned(), token: token + 1 });
            }
        }
        let (by, until) = current(conn, job)?.map_or_else(|| (String::new(), now), |(by, _, until)| (by, until));
        Err(LeaseError::Held { by, until })
    }

    /// The fencing token.
    pub fn token(&self) -> i64 {
        self.token
    }

    /// Prolongs the lease, from `now` of the state's own time.
    ///
    /// # Errors
    /// [`LeaseError::Held`] when somebody else took it meanwhile.
    pub fn renew(&self, conn: &mut Conn, now: DateTime<Utc>, ttl: Duration) -> Result<(), LeaseError> {
        if self.set_expiry(conn, now + ttl)? == 1 {
            return Ok(());
        }
        let (by, until) = current(conn, &self.job)?.map_or_else(|| (String::new(), now), |(by, _, until)| (by, until));
        Err(LeaseError::Held { by, until })
    }

    /// Gives the lease back; its row stays, so that the next token is greater. It has expired by any clock, also by one
    /// that is set back afterwards.
    pub(super) fn release(&self, conn: &mut Conn) -> Result<(), StoreError> {
        self.set_expiry(conn, DateTime::UNIX_EPOCH).map(drop)
    }

    fn set_expiry(&self, conn: &mut Conn, at: DateTime<Utc>) -> Result<usize, StoreError> {
        let mine = leases::table
            .filter(leases::job.eq(&self.job))
            .filter(leases::token.eq(self.token))
            .filter(leases::holder.eq(&self.holder));
        on!(conn, raw => diesel::update(mine).set(leases::expires_at.eq(at.naive_utc())).execute(raw))
            .map_err(|error| StoreError::from_catalog(&error))
    }
}

fn current(conn: &mut Conn, job: &str) -> Result<Option<(String, i64, DateTime<Utc>)>, StoreError> {
    let query = leases::table.filter(leases::job.eq(job)).select((leases::holder, leases::token, leases::expires_at));
    on!(conn, raw => query.first::<(String, i64, chrono::NaiveDateTime)>(raw).optional())
        .map(|found| found.map(|(holder, token, until)| (holder, token, until.and_utc())))
        .map_err(|error| StoreError::from_catalog(&error))
}
