//! Trails for the tests: a state with runs in it, as they would have been written month after month.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use retentiond::clock::Clock;
use retentiond::names::{DataName, JobName};
use retentiond::store::pool::{Database, DatabaseSpec};
use retentiond::store::state;
use retentiond::store::url::StoreUrl;
use retentiond::trail::act::Sum;
use retentiond::trail::{self, Act, Entry, RunTrail, Signed, Signer};

use crate::support::Random;

/// A state, made and up to date.
pub fn open(url: &str) -> Database {
    let url = StoreUrl::parse(url).unwrap();
    let memory = Database::open(DatabaseSpec { create: true, ..DatabaseSpec::new("state", url) }).unwrap();
    state::migrate(&mut memory.conn().unwrap()).unwrap();
    memory
}

/// A state on SQLite with its signer, and the instant at which it is written to.
pub struct Trail {
    pub memory: Database,
    pub signer: Signer,
    pub now: DateTime<Utc>,
}

impl Trail {
    pub fn new(folder: &Path) -> Self {
        let memory = open(&format!("sqlite:{}", folder.join("state.db").display()));
        let signer = Signer::open(None, Some(folder)).unwrap();
        Self { memory, signer, now: DateTime::from_timestamp(1_579_089_600, 250_000).unwrap() }
    }

    /// The next instant, some hours on.
    fn clock(&mut self) -> Clock {
        self.now += TimeDelta::minutes(187);
        Clock::fixed(self.now)
    }

    /// Writes a run of a few batches, or one that is killed.
    pub fn run(&mut self, random: &mut Random) {
        let job: JobName = random.pick(&["calls", "mails", "audit"]).parse().unwrap();
        let data: DataName = random.pick(&["contacts", "recordings"]).parse().unwrap();
        let clock = self.clock();
        let id = state::new_id(clock.now() + TimeDelta::microseconds(i64::try_from(random.below(1 << 40)).unwrap()));
        let policy = "00112233445566778899aabbccddeeff";
        let (run, _) =
            RunTrail::begin(&self.memory, clock, (&id, &job, policy), ("retention_purge", "schedule")).unwrap();
        let steps = vec![Sum { data: data.clone(), action: "delete", rows: random.below(5_000), files: 0 }];
        run.record_plan(
            vec![Act::PlanMade { cutoff: None, rows: 1, files: 0, held: 0, steps }],
            "aabbccddeeff",
            "beef",
        )
        .unwrap();
        for batch in 0..random.below(3) * 101 {
            run.intend(batch).unwrap();
            let (rows, files) = (random.below(2_000), random.below(3));
            run.done(batch, [(&data, "delete", rows, files)].into_iter());
        }
        if random.below(5) > 0 {
            run.end("complete", None).unwrap();
        }
        if random.below(4) == 0 {
            let clock = self.clock();
            trail::record(&self.memory, clock, vec![Entry::new(Act::Pause), Entry::new(Act::Resume)]).unwrap();
        }
    }

    /// Jumps into the next month.
    pub fn next_month(&mut self) {
        self.now += TimeDelta::days(32);
    }

    pub fn checkpoint(&mut self) -> Option<Signed> {
        let clock = self.clock();
        self.signer.checkpoint(&mut self.memory.conn().unwrap(), clock).unwrap()
    }

    pub fn prune(&mut self, before: DateTime<Utc>) -> u64 {
        let clock = self.clock();
        trail::prune(&mut self.memory.conn().unwrap(), clock, before).unwrap()
    }

    pub fn export(&self) -> Vec<u8> {
        let mut text = Vec::new();
        trail::export::write(&mut self.memory.conn().unwrap(), |line| {
            text.extend_from_slice(line.as_bytes());
            Ok(())
        })
        .unwrap();
        text
    }
}
