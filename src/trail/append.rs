//! Records are added: under a lock, each with its leaf, the tree grown by as many hashes as its size has bits.
//!
//! **Invariant.** Head, leaves and records change in one transaction, which the head's row lets one writer at a time into,
//! whichever daemon it is: a writer that dies leaves nothing behind. [`append`] comes back when its records are committed.
//! Whoever is told of an error does not do what they wanted to record.

use chrono::{DateTime, Datelike as _, Utc};
use sha2::{Digest as _, Sha256};

use super::canonical::Digest;
use super::record::{Entry, Leaf, commit};
use super::tree::{Frontier, Hash, leaf_hash};
use super::{TrailError, hex};
use crate::clock::Clock;
use crate::store::state::{self, TrailHead, TrailRow};
use crate::store::{Access, Conn};

/// A segment has at most so many records; they are pruned together.
const SEGMENT: u64 = 4_096;
/// Several daemons wait for each other; one that has waited so often finds something wrong.
const ATTEMPTS: u32 = 60;

/// The state's row of the whole trail, understood.
#[derive(Clone, Debug)]
pub(super) struct Tip {
    pub frontier: Frontier,
    pub last_hash: Hash,
    pub origin: String,
    pub pruned: u64,
    segment: Option<u64>,
    month: String,
}

impl Tip {
    pub fn of(head: &TrailHead) -> Result<Self, TrailError> {
        let broken = || TrailError::Broken("its head does not fit together");
        let number = |number: i64| u64::try_from(number).map_err(|_| broken());
        let hashes = head.frontier.as_bytes().chunks(64);
        let hashes = hashes.map(|text| std::str::from_utf8(text).ok().and_then(hex::hash));
        let hashes = hashes.collect::<Option<Vec<Hash>>>().ok_or_else(broken)?;
        let last_hash = if head.size == 0 { Some([0; 32]) } else { hex::hash(&head.last_hash) };
        Ok(Self {
            frontier: Frontier::of(number(head.size)?, hashes).ok_or_else(broken)?,
            last_hash: last_hash.ok_or_else(broken)?,
            origin: head.origin.clone(),
            pruned: number(head.pruned)?,
            segment: u64::try_from(head.segment).ok(),
            month: head.segment_month.clone(),
        })
    }

    fn head(&self) -> Result<TrailHead, TrailError> {
        Ok(TrailHead {
            size: signed(self.frontier.size())?,
            last_hash: hex::encode(&self.last_hash),
            frontier: self.frontier.hashes().iter().map(|hash| hex::encode(hash)).collect(),
            origin: self.origin.clone(),
            segment: self.segment.map_or(Ok(-1), signed)?,
            segment_month: self.month.clone(),
            pruned: signed(self.pruned)?,
        })
    }

    /// The first record of the present segment.
    pub fn segment(&self) -> u64 {
        self.segment.unwrap_or_default()
    }

    /// The key that hides the next record; of a new segment where the last is full or of another month.
    fn key(&mut self, conn: &mut Conn, at: DateTime<Utc>) -> Result<(u64, Vec<u8>), TrailError> {
        let (size, month) = (self.frontier.size(), format!("{:04}-{:02}", at.year(), at.month()));
        let present = self.segment.filter(|first| size - first < SEGMENT && self.month == month);
        let secret = match present {
            Some(first) => state::trail_segment(conn, signed(first)?)?,
            None => {
                (self.segment, self.month) = (Some(size), month);
                state::begin_trail_segment(conn, signed(size)?)?
            }
        };
        let key = hex::decode(&secret).ok_or(TrailError::Broken("the key of its last segment is no key"))?;
        Ok((self.segment(), key))
    }
}

pub(super) fn signed(number: u64) -> Result<i64, TrailError> {
    i64::try_from(number).map_err(|_| TrailError::Broken("it is too long"))
}

/// What tells this host from others: a hash of its name.
pub(super) fn host() -> Digest {
    let hash: Hash = Sha256::digest(rustix::system::uname().nodename().to_bytes()).into();
    Digest::parse(&hex::encode(&hash[..8])).unwrap_or_else(|| Digest::of(&hash))
}

/// The name of a trail whose file does not name it: that of the host where it begins, and a few random digits.
fn new_origin(secret: &[u8]) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let host: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')).take(80).collect();
    let hash: Hash = Sha256::new().chain_update(b"ralog/1 origin").chain_update(secret).finalize().into();
    format!("{}/retentiond/{}", if host.is_empty() { "localhost" } else { &host }, hex::encode(&hash[..4]))
}

/// Gives the trail its name, before its first record.
///
/// # Errors
/// When it has another one already, or the state cannot be written.
pub fn name(conn: &mut Conn, origin: &str) -> Result<(), TrailError> {
    if state::trail_head(conn)?.origin == origin {
        return Ok(());
    }
    with_trail(conn, |conn, tip| {
        if !tip.origin.is_empty() && tip.origin != origin {
            return Err(TrailError::Name { is: tip.origin.clone(), wanted: origin.to_owned() });
        }
        tip.origin = origin.to_owned();
        keep(conn, tip)
    })
}

/// Records some acts, in this order; comes back when they are committed. Gives the number of the first.
///
/// # Errors
/// When the trail cannot be written; then nothing was recorded, and nothing may be done.
pub fn append(conn: &mut Conn, clock: Clock, entries: &[Entry]) -> Result<u64, TrailError> {
    with_trail(conn, |conn, tip| add(conn, tip, clock, entries))
}

/// Does something with the trail locked, in one transaction; waits for other writers.
pub(super) fn with_trail<T>(
    conn: &mut Conn,
    work: impl Fn(&mut Conn, &mut Tip) -> Result<T, TrailError>,
) -> Result<T, TrailError> {
    let (mut attempts, started) = (ATTEMPTS, std::time::Instant::now());
    loop {
        attempts -= 1;
        let done = conn.transaction(Access::ReadWrite, |conn| {
            let mut tip = Tip::of(&state::lock_trail(conn)?)?;
            work(conn, &mut tip)
        });
        match done {
            Err(TrailError::Store(error)) if error.is_transient() && attempts > 0 => {
                std::thread::sleep(std::time::Duration::from_millis(u64::from(ATTEMPTS - attempts) * 5));
            }
            result => {
                let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
                tracing::debug!(trail.micros = micros, trail.waits = ATTEMPTS - 1 - attempts, "the trail was written");
                return result;
            }
        }
    }
}

/// Adds records to a locked trail.
pub(super) fn add(conn: &mut Conn, tip: &mut Tip, clock: Clock, entries: &[Entry]) -> Result<u64, TrailError> {
    let (first, host) = (tip.frontier.size(), host());
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        let (at, seq) = (clock.now(), tip.frontier.size());
        let (_, key) = tip.key(conn, at)?;
        if tip.origin.is_empty() {
            tip.origin = new_origin(&key);
        }
        let body = entry.body(seq, at, &host, &tip.last_hash);
        let (word, kind) = entry.act.kind();
        let leaf = Leaf { seq, hour: Leaf::hour(at), kind, commit: commit(&key, seq, &body) }.to_bytes();
        tip.last_hash = leaf_hash(&leaf);
        tip.frontier.push(tip.last_hash);
        rows.push(TrailRow {
            seq: signed(seq)?,
            leaf: hex::encode(&leaf),
            kind: word.to_owned(),
            job: entry.job.as_ref().map(ToString::to_string),
            run: entry.run.as_ref().map(|run| run.as_str().to_owned()),
            body,
        });
    }
    state::add_trail_rows(conn, &rows)?;
    state::set_trail_head(conn, &tip.head()?)?;
    Ok(first)
}

/// Writes the head alone.
pub(super) fn keep(conn: &mut Conn, tip: &Tip) -> Result<(), TrailError> {
    Ok(state::set_trail_head(conn, &tip.head()?)?)
}
