//! `GET /metrics` for Prometheus and `GET /healthz`, on a loopback port or a Unix socket.
//!
//! **Invariant.** Labels hold names of jobs, entries, brakes and outcomes, never a value of a row. A scrape renders what
//! is known; it asks no database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::super::events::{Event, Listener};
use super::super::policy::Followed;
use super::survey;
use crate::clock::Clock;
use crate::config::listen::Listen;
use crate::control::ran::Ended;
use crate::control::{Exit, Failure};
use crate::jobs::Outcome;
use crate::store::pool::Database;

/// Buckets of a run's seconds.
const SECONDS: [f64; 12] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0];

/// What `/healthz` says.
#[derive(Default)]
struct Health {
    clock_doubt: AtomicBool,
    state_away: AtomicBool,
}

/// Counts what happens.
pub(super) struct Metrics {
    clock: Clock,
    health: Arc<Health>,
    survey: survey::Survey,
}

impl Metrics {
    /// Listens, and starts the thread that answers and the one that counts.
    pub fn start(followed: &Followed, listen: &Listen) -> Result<Arc<Self>, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(Exit::Failed, format!("error: [metrics] listen, {listen}: {error}"))
        };
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full("retentiond_run_seconds".to_owned()), &SECONDS)
            .map_err(|error| failed(&error))?
            .build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|error| failed(&error))?;
        describe();
        let health = Arc::new(Health::default());
        let socket = Socket::bind(listen).map_err(|error| failed(&error))?;
        let answering = Arc::clone(&health);
        std::thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let ended = runtime.and_then(|runtime| runtime.block_on(answer(socket, handle, answering)));
                if let Err(error) = ended {
                    tracing::error!(%error, "the metrics can no longer be read");
                }
            })
            .map_err(|error| failed(&error))?;
        let survey = survey::Survey::start(followed).map_err(|error| failed(&error))?;
        Ok(Arc::new(Self { clock: Clock::system(), health, survey }))
    }
}

fn describe() {
    metrics::describe_gauge!("retentiond_overdue_rows", "Rows that should have gone by now");
    metrics::describe_gauge!("retentiond_oldest_overdue_seconds", "For how long the oldest of them has been expired");
    metrics::describe_gauge!("retentiond_last_success_age_seconds", "Since the job was last complete; -1 for never");
    metrics::describe_counter!("retentiond_rows_removed_total", "Rows deleted, anonymised or unlinked");
    metrics::describe_counter!("retentiond_files_removed_total", "Files removed with their rows");
    metrics::describe_counter!("retentiond_runs_total", "Runs by outcome");
    metrics::describe_histogram!("retentiond_run_seconds", "What a run took, planning included");
    metrics::describe_counter!("retentiond_brakes_total", "Brakes that stopped a run");
    metrics::describe_gauge!("retentiond_braked", "Whether the job's last run was stopped by a brake");
    metrics::describe_gauge!("retentiond_paused", "Whether the job is paused");
    metrics::describe_gauge!("retentiond_lag_seconds", "How late the job's last run began");
    metrics::describe_gauge!("retentiond_lease_held", "Whether this daemon has the job's lease");
    metrics::describe_counter!("retentiond_slots_skipped_total", "Slots that were passed over");
    metrics::describe_gauge!("retentiond_clock_doubt", "Whether the clock cannot be trusted");
    metrics::describe_gauge!("retentiond_trail_unsigned_records", "Records of the audit trail below no checkpoint yet");
    metrics::describe_gauge!("retentiond_surveyed_timestamp_seconds", "When overdue rows were last counted");
}

impl Listener for Metrics {
    fn hear(&self, event: &Event<'_>, _: &Database) {
        match event {
            Event::Started(due) => {
                let lag = (self.clock.now() - due.slot).as_seconds_f64().max(0.0);
                gauge!("retentiond_lag_seconds", "job" => due.job.to_owned()).set(lag);
                gauge!("retentiond_lease_held", "job" => due.job.to_owned()).set(1.0);
            }
            Event::Lost(due) => gauge!("retentiond_lease_held", "job" => due.job.to_owned()).set(0.0),
            Event::Finished { due, ran } => {
                gauge!("retentiond_lease_held", "job" => due.job.to_owned()).set(0.0);
                finished(due.job, ran);
                self.survey.soon();
            }
            Event::Asked { job, ran } => {
                finished(job, ran);
                self.survey.soon();
            }
            Event::Skipped { job, slots, why, .. } => {
                let why = format!("{why:?}").to_lowercase();
                counter!("retentiond_slots_skipped_total", "job" => (*job).to_owned(), "why" => why).increment(*slots);
            }
            Event::Clock(doubt) => {
                self.health.clock_doubt.store(doubt.is_some(), Ordering::SeqCst);
                gauge!("retentiond_clock_doubt").set(if doubt.is_some() { 1.0 } else { 0.0 });
            }
            Event::State(away) => self.health.state_away.store(away.is_some(), Ordering::SeqCst),
            Event::Reloaded => self.survey.soon(),
            Event::ReloadRefused(_) => {}
        }
    }
}

fn finished(job: &str, ran: &crate::control::Ran) {
    if matches!(ran.ended, Ended::Refused(_)) {
        return;
    }
    let outcome = ran.outcome();
    counter!("retentiond_runs_total", "job" => job.to_owned(), "outcome" => outcome.as_str()).increment(1);
    histogram!("retentiond_run_seconds", "job" => job.to_owned()).record(ran.took.as_secs_f64());
    for step in &ran.report.steps {
        let labels =
            [("job", job.to_owned()), ("data", step.data.to_string()), ("action", step.action.as_str().to_owned())];
        counter!("retentiond_rows_removed_total", &labels).increment(step.rows);
        counter!("retentiond_files_removed_total", &labels).increment(step.files);
    }
    let braked = outcome == Outcome::Braked;
    gauge!("retentiond_braked", "job" => job.to_owned()).set(if braked { 1.0 } else { 0.0 });
    for brake in ran.report.plan.iter().filter(|_| braked).flat_map(|plan| &plan.brakes) {
        counter!("retentiond_brakes_total", "job" => job.to_owned(), "brake" => brake.brake.as_str()).increment(1);
    }
}

/// Bound, not yet listened on.
enum Socket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Socket {
    fn bind(listen: &Listen) -> std::io::Result<Self> {
        match listen {
            Listen::Loopback(address) => {
                let socket = std::net::TcpListener::bind(address)?;
                socket.set_nonblocking(true)?;
                Ok(Self::Tcp(socket))
            }
            Listen::Unix(path) => {
                // Made beside it and moved there: what a dead daemon left is replaced in one step.
                let mut made = path.clone().into_os_string();
                made.push(format!(".{}", std::process::id()));
                let socket = std::os::unix::net::UnixListener::bind(&made)?;
                socket.set_nonblocking(true)?;
                std::fs::rename(&made, path)?;
                Ok(Self::Unix(socket))
            }
        }
    }
}

async fn answer(socket: Socket, handle: PrometheusHandle, health: Arc<Health>) -> std::io::Result<()> {
    let rendered = move || {
        let text = handle.render();
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text) }
    };
    let healthy = move || {
        let (clock, state) = (health.clock_doubt.load(Ordering::SeqCst), health.state_away.load(Ordering::SeqCst));
        let code = if clock || state { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        let body = serde_json::json!({ "ok": !(clock || state), "clock_doubt": clock, "state_away": state });
        async move { (code, axum::Json(body)).into_response() }
    };
    let router = axum::Router::new().route("/metrics", get(rendered)).route("/healthz", get(healthy));
    match socket {
        Socket::Tcp(socket) => axum::serve(tokio::net::TcpListener::from_std(socket)?, router).await,
        Socket::Unix(socket) => axum::serve(tokio::net::UnixListener::from_std(socket)?, router).await,
    }
}
