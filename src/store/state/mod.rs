//! retentiond's own memory: runs, slots, leases, pauses, holds, requests, the outbox. Typed tables, one schema for all three databases; no upsert
//! and no `RETURNING`, which they do not share.

mod alerts;
mod clocks;
mod erasures;
mod gone;
mod holder;
mod holds;
mod lease;
mod outbox;
mod plans;
mod requests;
mod runs;
mod schedules;
mod schema;
mod slots;
mod switch;
mod trail;
mod work;

use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use super::conn::Raw;
use super::{Conn, ErrorKind, StoreError};

pub use alerts::{
    IncidentRecord, LetterRecord, drop_letter, incidents, letters_due, schedules_since, take_letter, tell,
};
pub use clocks::{ClockMark, accept_store_clock, accepted_store_clocks, clock_mark, forget_clock_mark, mark_clock};
pub use erasures::{
    ErasureRecord, HashKey, Mark, begin_erasure, cancel_erasure, finish_erasure, forget_expired, hash_key, hash_keys,
    known_lasting_key, lasting_key, mark_store, random as new_secret, receipt, store_marks, unexpired, unmark_store,
};
pub use gone::{Watch, any_gone, begin_watch, forget_returned, forget_unseen, gone_since, note_gone, note_look, watch};
pub use holder::this_process;
pub use holds::{HoldRecord, add_hold, all_holds, ask_release, grant_release, release_case};
pub use lease::{Lease, LeaseError};
pub use outbox::{
    Attempt, MailRecord, MailState, end_attempt, give_mail_up, mail_again, mails, mails_of, note_phase, recall,
    settle_mails, take_mail, waiting_mails,
};
pub use plans::{
    PlanRecord, approve_plan, find_plan, follow_policy, followed_policy, forget_plans, last_plan, remember_plan,
    standing_approvals, use_approval,
};
pub use requests::{
    RequestRecord, add_request, end_request, extend_request, forget_requests, knows_origin, new_request_id,
    note_problem, open_requests, post, request, requests,
};
pub use runs::{
    End, NewStep, RunId, RunRecord, StepRecord, Trigger, forget_before, history, knows_run, last_success, new_id,
    usual_rows,
};
pub use schedules::{Schedule, begin_schedules_by, forget_slots, schedules};
pub use slots::{Claim, Claimed, NewSlot, OVERLAP, OpenSlot, SlotFate, claim, give_up, open_slots, orphans};
pub use switch::{is_paused, pause, paused, resume};
pub use trail::{
    StoredRecord, StoredRow, TrailHead, TrailRow, add_checkpoint, add_trail_rows, add_trail_signer,
    begin_trail_segment, checkpoints, count_trail_records, find_trail_head, forget_checkpoints, give_trail_mail_back,
    last_checkpoint, last_of_job, last_of_run, lock_trail, prune_trail, set_trail_head, take_trail_mail, trail_head,
    trail_leaves, trail_of_run, trail_rows, trail_segment, trail_segments, trail_signers,
};
pub use work::{Begun, NewRun, NotBegun, begin, end, server_now};

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/state/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/state/postgres");
const MYSQL: EmbeddedMigrations = embed_migrations!("migrations/state/mysql");

/// Brings the state's tables up to date.
///
/// # Errors
/// When a migration fails; the state is then as it was before it.
pub fn migrate(conn: &mut Conn) -> Result<(), StoreError> {
    let result = match &mut conn.raw {
        Raw::Sqlite(raw) => raw.run_pending_migrations(SQLITE).map(drop),
        Raw::Postgres(raw) => raw.run_pending_migrations(POSTGRES).map(drop),
        Raw::Mysql(raw) => raw.run_pending_migrations(MYSQL).map(drop),
    };
    result.map_err(|error| StoreError::new(ErrorKind::Other, format!("the state's tables cannot be made: {error}")))
}
