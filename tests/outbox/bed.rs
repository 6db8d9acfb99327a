//! An outbox with a state of its own, a scripted mail server, and a clock that the test sets.

use chrono::{DateTime, TimeDelta, Utc};
use retentiond::clock::Clock;
use retentiond::config::diagnostic::Diagnostics;
use retentiond::config::document::Mail;
use retentiond::mail::address::Address;
use retentiond::mail::{Draft, Mailbox, Mailer, Message, Parcel, Part, Settings};
use retentiond::outbox::{Outbox, folder};
use retentiond::store::pool::{Database, DatabaseSpec};
use retentiond::store::state::{self, MailRecord, RequestRecord};
use retentiond::store::url::StoreUrl;
use tempfile::TempDir;

use crate::support::fake_smtp::FakeSmtp;

pub struct Bed {
    _dir: TempDir,
    memory: Database,
    folder: std::path::PathBuf,
    pub server: FakeSmtp,
    mailer: Mailer,
    requests: Vec<String>,
    now: DateTime<Utc>,
}

impl Bed {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sqlite(dir.path().join("state.db"));
        let folder = folder(&url);
        let memory = Database::open(DatabaseSpec { create: true, ..DatabaseSpec::new("state", url) }).unwrap();
        state::migrate(&mut memory.conn().unwrap()).unwrap();
        let server = FakeSmtp::start();
        let text = format!(
            "smtp = \"{}\"\nfrom = \"Data protection <privacy@example.org>\"\nca = \"{}\"\n",
            server.url(),
            server.ca().display()
        );
        let mail: Mail = toml::from_str(&text).unwrap();
        let settings = Settings::read(&mail, &mut Diagnostics::default()).unwrap();
        let mailer = Mailer::of(&settings).unwrap();
        let now = crate::support::now();
        Self { _dir: dir, memory, folder, server, mailer, requests: Vec::new(), now }
    }

    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    fn outbox(&self) -> Outbox<'_> {
        Outbox::open(&self.folder, &self.memory, Clock::fixed(self.now)).unwrap()
    }

    /// A request with a mail that waits; gives the mail's id.
    pub fn post(&mut self, request: &str) -> String {
        self.post_of("reports", request)
    }

    pub fn post_of(&mut self, job: &str, request: &str) -> String {
        self.post_message(job, request, &message(request, self.now))
    }

    /// The same with these words in every field.
    pub fn post_hostile(&mut self, request: &str, [name, subject, text, html, file]: [String; 5]) -> String {
        let from = Mailbox::new(Some(&name), Address::parse("privacy@example.org").unwrap());
        let to = [Mailbox::new(Some(&subject), Address::parse("dpo@example.org").unwrap())];
        let draft = Draft { from: &from, to: &to, subject: &subject, text: &text, html: &html, date: self.now };
        let part = Part { name: file.clone(), media_type: "application/json", bytes: file.into_bytes() };
        let id = format!("retentiond.report.{request}");
        let message = Message::parcel(Parcel { id: &id, draft, parts: vec![part], keys: None }).unwrap();
        self.post_message("reports", request, &message)
    }

    fn post_message(&mut self, job: &str, request: &str, message: &Message) -> String {
        let record = RequestRecord {
            id: request.to_owned(),
            job: job.to_owned(),
            origin: "command".to_owned(),
            origin_key: None,
            person_kind: "user".to_owned(),
            secret: state::new_secret().unwrap(),
            digests: String::new(),
            range_from: None,
            range_to: None,
            asked_by: "tester".to_owned(),
            asked_at: self.now.naive_utc(),
            due_at: (self.now + TimeDelta::days(30)).naive_utc(),
            extended_at: None,
            extended_by: None,
            extended_why: None,
            stage: "open".to_owned(),
            problem: None,
            counts: None,
            ended_at: None,
            ended_by: None,
            ended_why: None,
        };
        let mut conn = self.memory.conn().unwrap();
        assert!(state::add_request(&mut conn, &record).unwrap());
        let mail = self.outbox().lay_down(message, (job, request, 0), TimeDelta::days(3)).unwrap();
        assert!(state::post(&mut conn, request, "{}", std::slice::from_ref(&mail)).unwrap());
        if job == "reports" {
            self.requests.push(request.to_owned());
        }
        mail.id
    }

    pub fn send(&self) {
        self.outbox().send_due(&self.requests, &Ok(self.mailer.clone()), &mut || true).unwrap();
    }

    pub fn send_only(&self, request: &str) {
        let requests = [request.to_owned()];
        self.outbox().send_due(&requests, &Ok(self.mailer.clone()), &mut || true).unwrap();
    }

    pub fn sweep(&self) {
        self.outbox().sweep("reports", TimeDelta::days(30)).unwrap();
    }

    pub fn record(&self, mail: &str) -> MailRecord {
        let all = state::mails(&mut self.memory.conn().unwrap()).unwrap();
        all.into_iter().find(|record| record.id == mail).unwrap()
    }

    /// How often the server took a mail.
    pub fn taken(&self, mail: &str) -> usize {
        let id = format!("<{}>", self.record(mail).message_id);
        self.server.taken().iter().filter(|taken| taken.id == id).count()
    }

    /// To the next attempt.
    pub fn advance(&mut self, record: &MailRecord) {
        self.now = self.now.max(record.not_before.and_utc());
    }

    pub fn later(&mut self, hours: i64) {
        self.now += TimeDelta::hours(hours);
    }

    pub fn again(&self, mail: &str) -> bool {
        let until = (self.now, self.now + TimeDelta::days(3));
        state::mail_again(&mut self.memory.conn().unwrap(), mail, "tester", until).unwrap()
    }

    pub fn close(&self, request: &str) {
        let mut conn = self.memory.conn().unwrap();
        assert!(state::end_request(&mut conn, request, Some(("tester", "done")), self.now).unwrap());
    }

    /// No later attempt of this test is about it.
    pub fn forget(&mut self, mail: &str) {
        let request = self.record(mail).request;
        self.requests.retain(|other| *other != request);
    }
}

fn message(request: &str, now: DateTime<Utc>) -> Message {
    let from = Mailbox::parse("Data protection <privacy@example.org>").unwrap();
    let to = [Mailbox::parse("dpo@example.org").unwrap()];
    let text = "A report is attached.\n.\n..\n";
    let draft =
        Draft { from: &from, to: &to, subject: "A report", text, html: "<p>A report is attached.</p>", date: now };
    let part = Part { name: "report.json".to_owned(), media_type: "application/json", bytes: vec![b'x'; 5_000] };
    let id = format!("retentiond.report.{request}");
    Message::parcel(Parcel { id: &id, draft, parts: vec![part], keys: None }).unwrap()
}
