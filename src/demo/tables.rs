//! The tables that are filled, and the buffers that fill them.
//!
//! Rows are collected over all stores and written when about 10 000 are waiting: memory does not grow with the size of
//! the contact centre. Tables stand in the order in which foreign keys want them, parents first.

use std::collections::BTreeMap;

use super::DemoError;
use super::cases::Case;
use crate::store::bulk::{Cell, insert};
use crate::store::{Access, Conn};

/// Rows that wait at most.
const WAITING: usize = 10_000;

macro_rules! tables {
    ($($store:literal: $($table:ident $name:literal [$($column:literal)*])*;)*) => {
        /// A table of the contact centre.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the schemas say what each table is")]
        pub enum Table { $($($table),*),* }

        impl Table {
            /// All of them, parents before children.
            pub const ALL: &[Self] = &[$($(Self::$table),*),*];

            /// The store it is in.
            pub fn store(self) -> &'static str {
                match self { $($(Self::$table => $store),*),* }
            }

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $($(Self::$table => $name),*),* }
            }

            /// Its columns.
            pub fn columns(self) -> &'static [&'static str] {
                match self { $($(Self::$table => &[$($column),*]),*),* }
            }
        }
    };
}

tables! {
    "configuration":
        Users "users" ["id" "login_id" "first_name" "last_name" "job_title" "recording_enabled" "in_directory" "created_at" "last_login_at"]
        UserNames "user_names" ["user_id" "first_name" "last_name" "kept_since"]
        UserAddresses "user_addresses" ["id" "user_id" "kind" "address" "added_at"]
        Queues "queues" ["id" "name" "channel" "created_at"]
        QueueMembers "queue_members" ["queue_id" "user_id" "skill_level" "member_since"]
        Roles "roles" ["id" "name"]
        UserRoles "user_roles" ["user_id" "role_id" "granted_at"]
        UserSettings "user_settings" ["user_id" "name" "value" "changed_at"]
        ListeningLog "recording_listening_log" ["id" "recording_id" "user_id" "listened_at" "seconds_played" "reason"]
        AuditLog "audit_log" ["id" "changed_at" "actor_id" "actor_role" "action" "object_type" "object_id" "attribute" "new_value"]
        PrivacyRequests "privacy_requests" ["id" "person_kind" "identifier_kind" "identifier" "requested_by" "requested_at" "due_at" "answered_at"];
    "directory":
        DirectoryUsers "directory_users" ["id" "user_id" "first_name" "last_name" "phone" "email" "job_title" "responsibilities" "updated_at"]
        DirectoryCustomers "directory_customers" ["id" "name" "phone" "email" "company" "note" "created_at" "updated_at"]
        Consents "consents" ["id" "customer_id" "purpose" "given" "asked_at" "withdrawn_at"];
    "operative":
        Contacts "contacts" ["id" "channel" "direction" "queue_id" "agent_id" "transferred_to" "caller_number" "caller_email" "caller_name" "client_ip" "subject" "disposition" "started_at" "answered_at" "ended_at" "anonymised_at"]
        ContactEvents "contact_events" ["id" "contact_id" "event_type" "agent_id" "address" "occurred_at" "duration_seconds"]
        Emails "emails" ["id" "contact_id" "message_id" "from_address" "reply_to" "to_address" "subject" "body" "received_at" "sent_at"]
        EmailAttachments "email_attachments" ["id" "email_id" "file_name" "content_type" "content" "stored_at"]
        Chats "chats" ["id" "contact_id" "nickname" "client_ip" "opened_at" "closed_at"]
        ChatTranscripts "chat_transcripts" ["id" "chat_id" "author" "said_at" "line"]
        InternalNotes "internal_notes" ["id" "contact_id" "author_id" "note" "written_at"]
        AttachedData "attached_data" ["contact_id" "name" "value" "attached_at"]
        Recordings "recordings" ["id" "contact_id" "user_id" "file_path" "seconds" "customer_consent" "recorded_at"]
        Presences "presences" ["id" "user_id" "presence" "started_at" "ended_at"];
    "outbound":
        Campaigns "campaigns" ["code" "name" "status" "owner_id" "started_at" "finished_at"]
        CampaignCustomers "campaign_customers" ["id" "campaign_code" "name" "phone" "email" "added_at"]
        CampaignCalls "campaign_calls" ["id" "campaign_code" "campaign_customer_id" "agent_id" "called_at" "outcome" "note"];
    "monitoring":
        LiveAgents "live_agents" ["id" "user_id" "login_id" "state" "current_caller" "state_since" "updated_at"]
        LiveQueues "live_queues" ["id" "queue_id" "waiting" "first_caller" "oldest_since" "updated_at"];
    "reporting":
        ContactIntervals "contact_intervals" ["queue_id" "channel" "interval_start" "offered" "answered" "abandoned" "talk_seconds" "counted_at"]
        AgentIntervals "agent_intervals" ["id" "user_id" "login_id" "interval_start" "contacts" "talk_seconds" "counted_at"];
    "history":
        ContactStatistics "contact_statistics" ["contact_id" "channel" "queue_id" "agent_id" "agent_login" "caller_number" "wait_seconds" "talk_seconds" "contact_started_at" "archived_at"]
        AgentWorkTime "agent_work_time" ["id" "user_id" "agent_name" "presence" "seconds" "day_start" "archived_at"];
}

/// One row, from values of any kind.
macro_rules! row {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::bulk::Cell::from($value)),*] };
}
pub(super) use row;

/// Collects rows and writes them.
pub(super) struct Writer<'t, 'c> {
    targets: &'t mut BTreeMap<&'static str, &'c mut Conn>,
    waiting: Vec<Vec<Vec<Cell>>>,
    number_waiting: usize,
    rows: Vec<u64>,
    cases: BTreeMap<&'static str, u64>,
}

impl<'t, 'c> Writer<'t, 'c> {
    pub(super) fn new(targets: &'t mut BTreeMap<&'static str, &'c mut Conn>) -> Self {
        let tables = Table::ALL.len();
        let cases = Case::ALL.iter().map(|case| (case.as_str(), 0)).collect();
        Self { targets, waiting: vec![Vec::new(); tables], number_waiting: 0, rows: vec![0; tables], cases }
    }

    /// The number that the next row of `table` has, counted from 1: its key where keys are numbers.
    pub(super) fn next_id(&self, table: Table) -> i64 {
        self.rows.get(table as usize).map_or(1, |rows| i64::try_from(*rows).unwrap_or(i64::MAX).saturating_add(1))
    }

    /// Takes one row.
    pub(super) fn push(&mut self, table: Table, row: Vec<Cell>) {
        if let (Some(waiting), Some(rows)) = (self.waiting.get_mut(table as usize), self.rows.get_mut(table as usize)) {
            waiting.push(row);
            *rows += 1;
            self.number_waiting += 1;
        }
    }

    /// Counts an awkward case.
    pub(super) fn case(&mut self, case: Case) {
        *self.cases.entry(case.as_str()).or_default() += 1;
    }

    /// Writes what waits when it is much.
    pub(super) fn breathe(&mut self) -> Result<(), DemoError> {
        if self.number_waiting >= WAITING { self.flush() } else { Ok(()) }
    }

    /// Writes what waits, each store in one transaction.
    pub(super) fn flush(&mut self) -> Result<(), DemoError> {
        for (store, conn) in self.targets.iter_mut() {
            let waiting = &self.waiting;
            let tables =
                Table::ALL.iter().zip(waiting).filter(|(table, rows)| table.store() == *store && !rows.is_empty());
            let mut tables = tables.peekable();
            if tables.peek().is_some() {
                conn.transaction(Access::ReadWrite, |conn| {
                    tables.try_for_each(|(table, rows)| insert(conn, table.name(), table.columns(), rows).map(drop))
                })?;
            }
        }
        self.waiting.iter_mut().for_each(Vec::clear);
        self.number_waiting = 0;
        Ok(())
    }

    /// Rows by table, and cases, when everything is written.
    pub(super) fn finish(mut self) -> Result<Totals, DemoError> {
        self.flush()?;
        let rows = Table::ALL.iter().zip(&self.rows).map(|(table, rows)| (table.name(), *rows)).collect();
        Ok((rows, self.cases))
    }
}

/// Rows by table, and how often each awkward case occurs.
pub(super) type Totals = (BTreeMap<&'static str, u64>, BTreeMap<&'static str, u64>);
