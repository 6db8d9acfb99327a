//! An outbox with a state of its own, a scripted mail server, and a clock that the test sets.

use chrono::{DateTime, TimeDelta, Utc};
use retentiond::clock::Clock;
use retentiond::config::diagnostic::Diagnostics;
use retentiond::config::document::Mail;
use retentiond::mail::address::Address;
use retentiond::mail::{Draft, Mailbox, Mailer, Message, Parcel, Part, Settings};
use retentiond::outbox::{Outbox, Tally, folder};
use retentiond::store::pool::{Database, DatabaseSpec};
use retentiond::store::state::{self, MailRecord, RequestRecord};
use retentiond::store::url::StoreUrl;
use tempfile::TempDir;

use crate::support::fake_smtp::FakeSmtp;

pub struct Bed {
    _dir: TempDir,
    url: String,
    memory: Database,
    folder: std::path::PathBuf,
    pub server: FakeSmtp,
    mailer: Mailer,
    now: DateTime<Utc>,
    /// Whose keys the mails are encrypted for.
    pub seal: Option<String>,
}

impl Bed {
    pub fn new() -> Self {
        Self::on(None)
    }

    /// With the state on each of the databases.
    pub fn each() -> [Self; 3] {
        let servers = [crate::support::postgres().fresh_database(), crate::support::mariadb().fresh_database()];
        let [postgres, mariadb] = servers.map(|url| Self::on(Some(url)));
        [Self::new(), postgres, mariadb]
    }

    fn on(server: Option<String>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = StoreUrl::Sqlite(dir.path().join("state.db"));
        let folder = folder(&file);
        let url = server.unwrap_or_else(|| format!("sqlite:{}", dir.path().join("state.db").display()));
        let spec = DatabaseSpec::new("state", StoreUrl::parse(&url).unwrap());
        let memory = Database::open(DatabaseSpec { create: true, ..spec }).unwrap();
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
        Self { _dir: dir, url, memory, folder, server, mailer, now, seal: None }
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

    /// So many open requests without a mail.
    pub fn crowd(&self, requests: u32) {
        let columns = "id, job, origin, person_kind, secret, digests, asked_by, asked_at, due_at, stage";
        let row = |number: u32| {
            format!("('c{number}', 'reports', 'command', 'user', '', '', 'x', '2026-11-01', '2026-12-01', 'open')")
        };
        for first in (0..requests).step_by(1_000) {
            let rows: Vec<String> = (first..requests.min(first + 1_000)).map(row).collect();
            let sql = format!("INSERT INTO report_requests ({columns}) VALUES {};", rows.join(", "));
            crate::support::run_sql(&self.url, &sql);
        }
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
            secret: state::new_secret().unwrap(),
            ..RequestRecord::open(request, job, "tester", self.now, self.now + TimeDelta::days(30))
        };
        let mut conn = self.memory.conn().unwrap();
        assert!(state::add_request(&mut conn, &record).unwrap());
        let mail =
            self.outbox().lay_down(message, (job, request, 0), self.seal.as_deref(), TimeDelta::days(3)).unwrap();
        assert!(state::post(&mut conn, request, "{}", std::slice::from_ref(&mail)).unwrap());
        mail.id
    }

    pub fn send(&self) -> Tally {
        self.send_sealed(None)
    }

    /// The same while the file names these keys.
    pub fn send_sealed(&self, seal: Option<&str>) -> Tally {
        self.outbox().send_due(("reports", seal), &Ok(self.mailer.clone()), &mut || true).unwrap()
    }

    /// The mail was finished on a host of another name.
    pub fn on_host(&self, mail: &str, host: &str) {
        let sql = format!("UPDATE outbox SET host = '{host}' WHERE id = '{mail}';");
        crate::support::run_sql(&self.url, &sql);
    }

    pub fn sweep(&self) {
        self.outbox().sweep("reports", TimeDelta::days(30)).unwrap();
    }

    pub fn has(&self, mail: &str) -> bool {
        state::mails(&mut self.memory.conn().unwrap()).unwrap().iter().any(|record| record.id == mail)
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
    pub fn forget(&self, mail: &str) {
        let mut conn = self.memory.conn().unwrap();
        state::end_request(&mut conn, &self.request_of(mail), Some(("tester", "done")), self.now).unwrap();
    }

    fn request_of(&self, mail: &str) -> String {
        mail.split('.').next().unwrap().to_owned()
    }

    /// The stage of a mail's request.
    pub fn stage(&self, mail: &str) -> String {
        state::request(&mut self.memory.conn().unwrap(), &self.request_of(mail)).unwrap().unwrap().stage
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
