//! The heartbeat: one job in tokio-cron-scheduler that is due twice a second, whatever the wall clock does.
//!
//! The library's own idea of when a job is due goes wrong when the clock is set, so it is not asked: a store of metadata of
//! ours (the library's own extension point) says that the one job is always due. What is due of our jobs, the engine knows.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use tokio_cron_scheduler::job::job_data::{JobAndNextTick, JobStoredData};
use tokio_cron_scheduler::store::{DataStore, InitStore};
use tokio_cron_scheduler::{
    Job, JobScheduler, JobSchedulerError, MetaDataStorage, SimpleJobCode, SimpleNotificationCode,
    SimpleNotificationStore,
};
use uuid::Uuid;

/// Beats of one job that are under way at most; a beat takes microseconds.
const CHANNEL: usize = 64;

/// Calls `beat` twice a second until the scheduler that is given back is shut down.
///
/// # Errors
/// When the scheduler does not start.
pub(super) async fn start(beat: impl Fn() + Send + Sync + 'static) -> Result<JobScheduler, JobSchedulerError> {
    let scheduler = JobScheduler::new_with_storage_and_code(
        Box::new(AlwaysDue::default()),
        Box::new(SimpleNotificationStore::default()),
        Box::new(SimpleJobCode::default()),
        Box::new(SimpleNotificationCode::default()),
        CHANNEL,
    )
    .await?;
    let beat = Arc::new(beat);
    let job = Job::new_async("* * * * * *", move |_, _| {
        let beat = Arc::clone(&beat);
        Box::pin(async move { beat() })
    })?;
    scheduler.add(job).await?;
    scheduler.start().await?;
    Ok(scheduler)
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, JobSchedulerError>> + Send>>;

fn at_once<T: Send + 'static>(value: T) -> Answer<T> {
    Box::pin(std::future::ready(Ok(value)))
}

/// A store in which every job is due now.
#[derive(Clone, Default)]
struct AlwaysDue(Arc<Mutex<HashMap<Uuid, JobStoredData>>>);

impl AlwaysDue {
    fn with<T>(&self, look: impl FnOnce(&mut HashMap<Uuid, JobStoredData>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl InitStore for AlwaysDue {
    fn init(&mut self) -> Answer<()> {
        at_once(())
    }

    fn inited(&mut self) -> Answer<bool> {
        at_once(true)
    }
}

impl DataStore<JobStoredData> for AlwaysDue {
    fn get(&mut self, id: Uuid) -> Answer<Option<JobStoredData>> {
        at_once(self.with(|jobs| jobs.get(&id).cloned()))
    }

    fn add_or_update(&mut self, data: JobStoredData) -> Answer<()> {
        if let Some(id) = &data.id {
            let id = Uuid::from_u64_pair(id.id1, id.id2);
            self.with(|jobs| jobs.insert(id, data));
        }
        at_once(())
    }

    fn delete(&mut self, id: Uuid) -> Answer<()> {
        self.with(|jobs| jobs.remove(&id));
        at_once(())
    }
}

impl MetaDataStorage for AlwaysDue {
    fn list_next_ticks(&mut self) -> Answer<Vec<JobAndNextTick>> {
        let due = |data: &JobStoredData| JobAndNextTick {
            id: data.id,
            job_type: data.job_type,
            next_tick: 1,
            last_tick: None,
        };
        at_once(self.with(|jobs| jobs.values().map(due).collect()))
    }

    fn set_next_and_last_tick(&mut self, _: Uuid, _: Option<DateTime<Utc>>, _: Option<DateTime<Utc>>) -> Answer<()> {
        at_once(())
    }

    fn time_till_next_job(&mut self) -> Answer<Option<std::time::Duration>> {
        at_once(None)
    }
}
