//! Whether anybody but us has written to a PostgreSQL server since a moment.
//!
//! Every transaction that writes or locks a row takes the next number of the whole server. So nobody else wrote when, between
//! two moments, no more numbers were taken than our own transactions took, and none was under way at the first. Who holds a
//! number that the first snapshot does not know yet is counted at the second, or has not committed by then.
//!
//! Source: PostgreSQL's manual, "Transaction ID and Snapshot Information Functions".

use super::{Backend, Conn, Stmt, StoreError};

/// A moment at which nobody was writing.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The connection that saw it.
    seen_by: u64,
    next: u64,
    /// How often that had flushed the server's log, which takes a number too.
    flushes: u64,
}

impl Moment {
    /// Whether only our own transactions have written since: so many of them, each of which surely did. Another connection
    /// than the one that saw the moment cannot tell, so there the answer is no.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub fn was_ours_alone(self, conn: &mut Conn, wrote: u64) -> Result<bool, StoreError> {
        let taken = wrote + conn.flushes.saturating_sub(self.flushes);
        let ours = |now: Self| now.seen_by == self.seen_by && now.next.checked_sub(self.next) == Some(taken);
        Ok(conn.quiet_moment()?.is_some_and(ours))
    }
}

impl Conn {
    /// The present moment, when nobody is writing; `None` when somebody is, or the database cannot say.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub fn quiet_moment(&mut self) -> Result<Option<Moment>, StoreError> {
        if self.backend() != Backend::Postgres {
            return Ok(None);
        }
        let rows = self.catalog_rows(&Stmt::new("SELECT CAST(txid_current_snapshot() AS text)"))?;
        let next = rows.first().and_then(|row| row.plain(0)).and_then(next);
        Ok(next.map(|next| Moment { seen_by: self.number, next, flushes: self.flushes }))
    }
}

/// The next number, of `oldest under way:next:others under way`; `None` while anything is under way.
fn next(snapshot: &str) -> Option<u64> {
    let mut parts = snapshot.split(':');
    let (oldest, next): (u64, u64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (oldest == next && parts.next() == Some("")).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_quiet_while_nothing_is_under_way() {
        assert_eq!(next("730:730:"), Some(730));
        for busy in ["730:732:731", "730:731:730", "729:730:", "", "730", "a:b:"] {
            assert!(next(busy).is_none(), "{busy}");
        }
    }
}
