//! How a run shows itself: a bar with rate and remaining time on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};

use crate::jobs::session::RunProgress;
use crate::plan::Plan;
use crate::removal::{Progress, Removed};

/// Plain lines come no more often than this.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows progress on standard error.
pub struct Shown {
    bar: Option<ProgressBar>,
    quiet: bool,
    rows: u64,
    total: u64,
    started: Instant,
    last_line: Instant,
    job: String,
}

impl Shown {
    /// Progress of one job. `quiet`: nothing at all (JSON is being written, or nobody looks).
    pub fn new(job: &str, quiet: bool) -> Self {
        let now = Instant::now();
        Self { bar: None, quiet, rows: 0, total: 0, started: now, last_line: now, job: job.to_owned() }
    }

    /// Clears the bar.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn line(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let rate = self.rows as f64 / seconds;
        let left = self.total.saturating_sub(self.rows) as f64 / rate.max(1.0);
        eprintln!("{}: {} of {} rows, {rate:.0} rows/s, about {left:.0} s left", self.job, self.rows, self.total);
        self.last_line = Instant::now();
    }
}

impl Shown {
    /// The plan stands, and these rows are to go.
    pub fn planned(&mut self, rows: u64) {
        self.total = rows;
        self.started = Instant::now();
        if self.quiet || !std::io::stderr().is_terminal() || rows == 0 {
            return;
        }
        let bar = ProgressBar::new(rows);
        let template = "{prefix:.bold} {msg:20} [{bar:30}] {human_pos}/{human_len} rows  {rate} rows/s  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                // A line that cannot be drawn is no reason to end a run.
                write!(out, "{}", HumanCount(state.per_sec() as u64)).unwrap_or_default();
            };
            bar.set_style(style.with_key("rate", rate).progress_chars("=> "));
        }
        bar.set_prefix(self.job.clone());
        self.bar = Some(bar);
    }

    /// So many rows have gone, the last of them of this entry.
    pub fn so_far(&mut self, data: &str, rows: u64) {
        self.rows = rows;
        if self.quiet {
            return;
        }
        match &self.bar {
            Some(bar) => {
                bar.set_message(data.to_owned());
                bar.set_position(self.rows);
            }
            None if self.last_line.elapsed() >= LINE_EVERY => self.line(),
            None => {}
        }
    }

    /// Says something besides.
    pub fn remark(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }
}

impl Progress for Shown {
    fn batch(&mut self, removed: &Removed) {
        self.so_far(removed.data.as_str(), self.rows + removed.rows);
    }
}

impl RunProgress for Shown {
    fn begin(&mut self, plan: &Plan) {
        self.planned(plan.rows);
    }

    fn note(&mut self, text: &str) {
        self.remark(text);
    }
}
