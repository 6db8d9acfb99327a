//! `ping_url` of a job: start, success and failure are told to a dead man's switch (the protocol of healthchecks.io), so
//! that silence is noticed.
//!
//! A URL may be a secret: it stands in no message.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::super::events::{Event, Listener};
use super::super::policy::Followed;
use crate::control::ran::Ended;
use crate::jobs::Outcome;
use crate::store::pool::Database;

/// A ping takes no longer, and is tried so often.
const PATIENCE: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 3;
/// So many pings may wait; what comes then is dropped.
const WAITING: usize = 1_000;

struct Ping {
    job: String,
    url: String,
}

/// Sends pings.
pub(super) struct Pings {
    followed: Followed,
    urls: Mutex<BTreeMap<String, String>>,
    runs: Mutex<BTreeMap<String, uuid::Uuid>>,
    queue: Sender<Ping>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pings {
    /// Starts the thread that sends.
    pub fn start(followed: &Followed) -> Arc<Self> {
        let (queue, waiting) = channel(WAITING);
        let thread = std::thread::Builder::new().name("pings".to_owned()).spawn(move || {
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(send_all(waiting)),
                Err(error) => tracing::error!(%error, "no pings can be sent"),
            }
        });
        if let Err(error) = thread {
            tracing::error!(%error, "no pings can be sent");
        }
        let pings = Self { followed: followed.clone(), urls: Mutex::default(), runs: Mutex::default(), queue };
        pings.read();
        Arc::new(pings)
    }

    fn read(&self) {
        let parts = self.followed.get().parts();
        let urls = parts.iter().flat_map(|part| &part.document.jobs).filter_map(|(name, raw)| {
            let url = raw.timing.ping_url.as_ref()?.resolve().ok()?;
            let url = url.trim_end_matches('/').replace("{tenant}", name.tenant().unwrap_or_default());
            Some((name.to_string(), url))
        });
        *locked(&self.urls) = urls.collect();
    }

    /// The id of the run that goes on, which ends.
    fn run(&self, job: &str) -> Option<uuid::Uuid> {
        locked(&self.runs).remove(job)
    }

    fn ping(&self, job: &str, end: &str, run: uuid::Uuid) {
        let Some(url) = locked(&self.urls).get(job).map(|url| format!("{url}{end}?rid={run}")) else { return };
        if self.queue.try_send(Ping { job: job.to_owned(), url }).is_err() {
            tracing::warn!(job, "too many pings wait; this one is dropped");
        }
    }
}

impl Listener for Pings {
    fn hear(&self, event: &Event<'_>, _: &Database) {
        match event {
            Event::Reloaded => self.read(),
            Event::Started(due) => {
                let run = uuid::Uuid::now_v7();
                locked(&self.runs).insert(due.job.to_owned(), run);
                self.ping(due.job, "/start", run);
            }
            Event::Lost(due) => {
                if let Some(run) = self.run(due.job) {
                    self.ping(due.job, "/fail", run);
                }
            }
            Event::Finished { due, ran } => {
                let run = self.run(due.job).unwrap_or_else(uuid::Uuid::now_v7);
                let end = match &ran.ended {
                    Ended::With(Outcome::Complete | Outcome::Truncated | Outcome::Held) => "",
                    Ended::With(_) | Ended::Failed(_) => "/fail",
                    Ended::Refused(_) => return,
                };
                self.ping(due.job, end, run);
            }
            _ => {}
        }
    }
}

/// One after the other for each job, so that a start comes before its end; jobs do not wait for each other.
async fn send_all(mut waiting: Receiver<Ping>) {
    let client =
        match reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::limited(3)).build() {
            Ok(client) => client,
            Err(_) => return tracing::error!("no pings can be sent: TLS cannot be set up"),
        };
    let mut jobs: BTreeMap<String, Sender<String>> = BTreeMap::new();
    while let Some(Ping { job, url }) = waiting.recv().await {
        let queue = jobs.entry(job.clone()).or_insert_with(|| {
            let (queue, mut urls) = channel::<String>(WAITING);
            let client = client.clone();
            tokio::spawn(async move {
                while let Some(url) = urls.recv().await {
                    send(&client, &job, &url).await;
                }
            });
            queue
        });
        if queue.try_send(url).is_err() {
            tracing::warn!("too many pings of one job wait; this one is dropped");
        }
    }
}

async fn send(client: &reqwest::Client, job: &str, url: &str) {
    for attempt in 1..=ATTEMPTS {
        match client.post(url).send().await {
            Ok(answer) if answer.status().is_success() => return,
            Ok(answer) => tracing::warn!(job, attempt, status = answer.status().as_u16(), "a ping was refused"),
            Err(error) => tracing::warn!(job, attempt, timeout = error.is_timeout(), "a ping did not arrive"),
        }
        tokio::time::sleep(Duration::from_secs(u64::from(attempt))).await;
    }
}
