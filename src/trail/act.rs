//! What is recorded: one variant for each kind of act, and what its record holds.
//!
//! The words and numbers of [`Act::kind`], and the names of fields, are part
//! of the format: they are never changed and never used again.

use chrono::{DateTime, Utc};

use super::canonical::{Digest, Item};
use crate::names::{DataName, PersonName, StoreName};

/// Named items, each with the name of its variable.
macro_rules! fields {
    ($($name:ident)*) => { Item::map([$((stringify!($name), Item::from($name))),*]) };
}

/// Rows and files of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// The entry.
    pub data: DataName,
    /// What is done with the rows.
    pub action: &'static str,
    /// Rows.
    pub rows: u64,
    /// Files.
    pub files: u64,
}

impl From<&Sum> for Item {
    fn from(sum: &Sum) -> Self {
        let Sum { data, action, rows, files } = sum;
        fields!(data action rows files)
    }
}

/// A brake that found more than its limit, in thousandths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Braked {
    /// The brake.
    pub brake: &'static str,
    /// The entry.
    pub data: Option<DataName>,
    /// The limit, times 1 000.
    pub limit: u64,
    /// What was found, times 1 000.
    pub found: u64,
}

impl From<&Braked> for Item {
    fn from(braked: &Braked) -> Self {
        let Braked { brake, data, limit, found } = braked;
        fields!(brake limit found).with_some("data", data.as_ref())
    }
}

/// Whom or what a hold is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Rows of one entry.
    Data(DataName),
    /// A person of this kind.
    Person(PersonName),
}

/// Something that retentiond does, or that somebody does with it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the words of the format, which docs/audit.md explains")]
pub enum Act {
    /// The daemon starts.
    Boot,
    /// A file is followed from now on.
    ConfigLoad { config: Digest, jobs: u64, stores: u64, entries: u64 },
    /// A key signs checkpoints from now on.
    KeyUse { key: Digest },
    /// A run begins.
    RunBegin { kind: &'static str, trigger: &'static str },
    /// Its plan stands.
    PlanMade { cutoff: Option<DateTime<Utc>>, rows: u64, files: u64, held: u64, steps: Vec<Sum> },
    /// Brakes stop it.
    Brake { brakes: Vec<Braked> },
    /// Somebody let it pass these brakes.
    BrakeReleased { brakes: Vec<&'static str> },
    /// Somebody let it go on without these limits of the file: its pace, its window.
    LimitsLifted { limits: Vec<&'static str> },
    /// An approval let it pass, and is used up.
    ApprovalUsed,
    /// Batches with these numbers may be done from now on.
    BatchesIntent { first: u64, last: u64 },
    /// Batches up to this number were done, and this is what the databases counted.
    BatchesDone { first: u64, last: u64, sums: Vec<Sum> },
    /// A run has ended. `unknown`: batches that were intended, and of which only a ledger can tell whether they were done.
    RunEnd { outcome: &'static str, rows: u64, files: u64, unknown: Option<(u64, u64)> },
    /// What the ledgers know of a run that was interrupted.
    RunFound { interrupted: Digest, rows: u64, files: u64 },
    /// So many files whose grace is over are unlinked from now on.
    FilesSweep { store: StoreName, files: u64 },
    /// So many were unlinked.
    FilesSwept { store: StoreName, files: u64 },
    /// What a killed run left in the trash is settled from now on: brought back, or marked as gone.
    FilesSettle { store: StoreName },
    /// So much of it was settled.
    FilesSettled { store: StoreName, committed: u64, restored: u64, conflicts: u64 },
    /// Rows of periods are folded into summaries of another store and sealed there, then they go; `seal` is their batch.
    RollupSeal { data: DataName, into: DataName, from: DateTime<Utc>, to: DateTime<Utc>, rows: u64, seal: Digest },
    /// Rows were written to an archive, and read back.
    ArchiveWritten { data: DataName, store: StoreName, rows: u64, sha256: Digest },
    /// An archive's own time is over, and it goes.
    ArchiveExpired { data: DataName, store: StoreName, sha256: Digest },
    /// What a killed run left of archives is settled: so many become archives, so many go since their rows are still there.
    ArchivesSettled { data: DataName, store: StoreName, kept: u64, undone: u64 },
    /// Rows of archives are put into a table again.
    ArchivesRestored { data: DataName, store: StoreName, archives: u64, rows: u64 },
    /// A plan may pass once, until an instant.
    Approval { until: DateTime<Utc> },
    /// A hold is placed.
    HoldAdd { hold: Digest, about: About, until: Option<DateTime<Utc>> },
    /// It holds so many rows.
    HoldPlaced { hold: Digest, rows: u64 },
    /// The first of two persons asks that holds end.
    HoldReleaseAsked { holds: Vec<Digest> },
    /// Holds end. Two persons want it: whoever acts, and this one.
    HoldRelease { holds: Vec<Digest>, second: Option<u32> },
    /// A job, or all, does not begin another batch.
    Pause,
    /// It goes on.
    Resume,
    /// A person is erased.
    ErasureBegin { erasure: Digest, person: PersonName, only: Option<StoreName> },
    /// The person is gone; `receipt` is the hash of what they are told.
    ErasureDone { erasure: Digest, rows: u64, files: u64, remains: u64, receipt: Digest },
    /// Nothing was removed, and nobody needs to be kept away.
    ErasureCancelled { erasure: Digest },
    /// A restored store is brought up to date.
    ReplayBegin { store: StoreName },
    /// So many persons were there again.
    ReplayDone { store: StoreName, found: u64, complete: bool },
    /// Changes of so many tables of a store are written down by triggers from now on.
    CaptureInstall { store: StoreName, tables: u64 },
    /// They are written down no more.
    CaptureRemove { store: StoreName },
    /// A store's ledger is taken as it is.
    StoreAdopted { store: StoreName },
    /// A person's report is asked for.
    ReportRequested { report: Digest, person: PersonName },
    /// A person's report is written into files of whoever asks.
    ReportWritten { report: Digest, person: PersonName },
    /// It is finished, and its mails may leave from now on: the hash of each.
    ReportPosted { report: Digest, mails: Vec<Digest> },
    /// A mail server has taken one; `sha256` is that of what was sent.
    ReportSent { report: Digest, sha256: Digest },
    /// It could not be made, or a mail of it was refused or given up.
    ReportFailed { report: Digest },
    /// Somebody has mails of a request sent once more that may have arrived.
    ReportResent { report: Digest, mails: u64 },
    /// Somebody gives a request more time.
    ReportExtended { report: Digest, due: DateTime<Utc> },
    /// Somebody closes a request without a (further) report.
    ReportClosed { report: Digest },
    /// A clock is so many seconds away from where it should be.
    ClockDoubt { store: Option<StoreName>, seconds: i64 },
    /// It is right again.
    ClockTrusted,
    /// Somebody says that it is right.
    ClockAccepted { store: Option<StoreName>, seconds: i64 },
    /// Something was not done: a command that somebody gave, or what stopped a run.
    Refusal { why: &'static str, command: Option<&'static str> },
    /// Records below `to`, all of them older than an instant, go; `root` is the tree's root over them.
    Prune { to: u64, before: DateTime<Utc>, root: Digest },
}

impl Act {
    /// The word and the number of its type.
    pub fn kind(&self) -> (&'static str, u16) {
        let (word, number, _) = self.parts();
        (word, number)
    }

    /// The word and the number of its type, and what its record holds besides.
    #[expect(clippy::too_many_lines, reason = "one arm for each kind of act, and it only names the fields")]
    pub(super) fn parts(&self) -> (&'static str, u16, Item) {
        match self {
            Self::Boot => ("boot", 1, Item::map([("version", env!("CARGO_PKG_VERSION").into())])),
            Self::ConfigLoad { config, jobs, stores, entries } => {
                ("config.load", 2, fields!(config jobs stores entries))
            }
            Self::KeyUse { key } => ("key.use", 3, fields!(key)),
            Self::RunBegin { kind, trigger } => ("run.begin", 10, fields!(kind trigger)),
            Self::PlanMade { cutoff, rows, files, held, steps } => {
                ("plan.made", 11, fields!(rows files held steps).with_some("cutoff", cutoff.as_ref()))
            }
            Self::Brake { brakes } => ("brake", 12, fields!(brakes)),
            Self::BrakeReleased { brakes } => ("brake.released", 13, fields!(brakes)),
            Self::LimitsLifted { limits } => ("limits.lifted", 19, fields!(limits)),
            Self::ApprovalUsed => ("approval.used", 14, fields!()),
            Self::BatchesIntent { first, last } => ("batches.intent", 15, fields!(first last)),
            Self::BatchesDone { first, last, sums } => {
                let rows = &sums.iter().map(|sum| sum.rows).sum::<u64>();
                let files = &sums.iter().map(|sum| sum.files).sum::<u64>();
                ("batches.done", 16, fields!(first last sums rows files))
            }
            Self::RunEnd { outcome, rows, files, unknown } => {
                let unknown = unknown.as_ref().map(|(first, last)| fields!(first last));
                ("run.end", 17, fields!(outcome rows files).with_some("unknown", unknown))
            }
            Self::RunFound { interrupted, rows, files } => ("run.found", 18, fields!(interrupted rows files)),
            Self::FilesSweep { store, files } => ("files.sweep", 20, fields!(store files)),
            Self::FilesSwept { store, files } => ("files.swept", 21, fields!(store files)),
            Self::FilesSettle { store } => ("files.settle", 23, fields!(store)),
            Self::FilesSettled { store, committed, restored, conflicts } => {
                ("files.settled", 22, fields!(store committed restored conflicts))
            }
            Self::RollupSeal { data, into, from, to, rows, seal } => {
                ("rollup.seal", 25, fields!(data into from to rows seal))
            }
            Self::ArchiveWritten { data, store, rows, sha256 } => {
                ("archive.written", 26, fields!(data store rows sha256))
            }
            Self::ArchiveExpired { data, store, sha256 } => ("archive.expired", 27, fields!(data store sha256)),
            Self::ArchivesSettled { data, store, kept, undone } => {
                ("archives.settled", 28, fields!(data store kept undone))
            }
            Self::ArchivesRestored { data, store, archives, rows } => {
                ("archives.restored", 29, fields!(data store archives rows))
            }
            Self::Approval { until } => ("approval", 30, fields!(until)),
            Self::HoldAdd { hold, about, until } => {
                let about = match about {
                    About::Data(data) => fields!(data),
                    About::Person(person) => fields!(person),
                };
                ("hold.add", 31, about.with("hold", hold).with_some("until", until.as_ref()))
            }
            Self::HoldPlaced { hold, rows } => ("hold.placed", 32, fields!(hold rows)),
            Self::HoldReleaseAsked { holds } => ("hold.release.asked", 34, fields!(holds)),
            Self::HoldRelease { holds, second } => {
                ("hold.release", 33, fields!(holds).with_some("second", second.map(u64::from)))
            }
            Self::Pause => ("pause", 35, fields!()),
            Self::Resume => ("resume", 36, fields!()),
            Self::ErasureBegin { erasure, person, only } => {
                ("erasure.begin", 40, fields!(erasure person).with_some("only", only.as_ref()))
            }
            Self::ErasureDone { erasure, rows, files, remains, receipt } => {
                ("erasure.done", 41, fields!(erasure rows files remains receipt))
            }
            Self::ErasureCancelled { erasure } => ("erasure.cancelled", 42, fields!(erasure)),
            Self::ReplayBegin { store } => ("replay.begin", 45, fields!(store)),
            Self::ReplayDone { store, found, complete } => ("replay.done", 46, fields!(store found complete)),
            Self::StoreAdopted { store } => ("store.adopted", 47, fields!(store)),
            Self::ReportRequested { report, person } => ("report.requested", 50, fields!(report person)),
            Self::ReportWritten { report, person } => ("report.written", 59, fields!(report person)),
            Self::ReportPosted { report, mails } => ("report.posted", 61, fields!(report mails)),
            Self::ReportSent { report, sha256 } => ("report.sent", 51, fields!(report sha256)),
            Self::ReportFailed { report } => ("report.failed", 52, fields!(report)),
            Self::ReportResent { report, mails } => ("report.resent", 53, fields!(report mails)),
            Self::ReportExtended { report, due } => ("report.extended", 54, fields!(report due)),
            Self::ReportClosed { report } => ("report.closed", 58, fields!(report)),
            Self::ClockDoubt { store, seconds } => {
                ("clock.doubt", 55, fields!(seconds).with_some("store", store.as_ref()))
            }
            Self::ClockTrusted => ("clock.trusted", 56, fields!()),
            Self::ClockAccepted { store, seconds } => {
                ("clock.accepted", 57, fields!(seconds).with_some("store", store.as_ref()))
            }
            Self::CaptureInstall { store, tables } => ("capture.install", 65, fields!(store tables)),
            Self::CaptureRemove { store } => ("capture.remove", 66, fields!(store)),
            Self::Refusal { why, command } => ("refusal", 60, fields!(why).with_some("command", *command)),
            Self::Prune { to, before, root } => ("trail.prune", 70, fields!(to before root)),
        }
    }
}
