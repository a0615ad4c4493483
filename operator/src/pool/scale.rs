//! Derives the number of pods of an autoscaled pool from the router's load report, and the order in which pods are removed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::ResourceExt;
use trackyard_crds::WorkerPool;
use trackyard_crds::worker_pool::Autoscale;
use trackyard_protocol::load_report::{LoadReport, WorkerLoad};

use super::autoscale::{Autoscaler, LoadSample, ScalePolicy};
use super::demand::{QueuedJobs, ScalablePool, assign};

/// The scaling history of all pools, by name.
#[derive(Debug)]
pub(super) struct Scaler {
    started: Instant,
    pools: Mutex<HashMap<String, PoolHistory>>,
}

/// The scaling history of one pool; a pool that is created again begins with an empty one.
#[derive(Debug, Default)]
struct PoolHistory {
    uid: String,
    autoscaler: Autoscaler,
    /// Kept while the pool has no worker that reports it.
    mean_run: Duration,
}

impl Default for Scaler {
    fn default() -> Self {
        Self { started: Instant::now(), pools: Mutex::default() }
    }
}

impl Scaler {
    /// Returns the desired number of pods of a pool that has `current`; none if it is not autoscaled or there is no report.
    pub(super) fn desired(
        &self,
        pool: &WorkerPool,
        current: u32,
        all: &[impl AsRef<WorkerPool>],
        report: Option<&LoadReport>,
    ) -> Option<u32> {
        let scale = pool.spec.autoscale.as_ref()?;
        let report = report?;
        let autoscaled: Vec<&WorkerPool> =
            all.iter().map(AsRef::as_ref).filter(|pool| pool.spec.autoscale.is_some()).collect();
        let mut histories = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        histories.retain(|name, _| autoscaled.iter().any(|pool| pool.name_any() == *name));
        let candidates: Vec<ScalablePool> = autoscaled
            .iter()
            .filter(|pool| !pool.spec.suspend)
            .filter_map(|pool| {
                let history = history_of(&mut histories, pool);
                Some(scalable_pool(pool, pool.spec.autoscale.as_ref()?, report, history))
            })
            .collect();
        let assigned = assign(&queues(report), &candidates);
        let own = candidates.iter().find(|candidate| candidate.name == pool.name_any())?;
        let sample = LoadSample {
            busy: own.busy,
            waiting: assigned.get(&own.name).copied().unwrap_or(0),
            mean_run: own.mean_run,
        };
        let autoscaler = &mut history_of(&mut histories, pool).autoscaler;
        Some(autoscaler.desired(self.started.elapsed(), &policy(pool, scale), current, &sample))
    }
}

fn history_of<'a>(histories: &'a mut HashMap<String, PoolHistory>, pool: &WorkerPool) -> &'a mut PoolHistory {
    let history = histories.entry(pool.name_any()).or_default();
    let uid = pool.uid().unwrap_or_default();
    if history.uid != uid {
        *history = PoolHistory { uid, ..PoolHistory::default() };
    }
    history
}

fn policy(pool: &WorkerPool, scale: &Autoscale) -> ScalePolicy {
    ScalePolicy {
        min: non_negative(scale.min),
        max: non_negative(scale.max).max(non_negative(scale.min)),
        slots: non_negative(pool.spec.slots),
        target_queue_age: scale.target_queue_age.0,
        scale_down_after: scale.scale_down_after.0,
    }
}

fn scalable_pool(
    pool: &WorkerPool,
    scale: &Autoscale,
    report: &LoadReport,
    history: &mut PoolHistory,
) -> ScalablePool {
    let name = pool.name_any();
    let own: Vec<&WorkerLoad> = report.workers.iter().filter(|worker| worker.pool.as_str() == name).collect();
    let means: Vec<u64> = own.iter().map(|worker| worker.mean_run_ms).filter(|ms| *ms > 0).collect();
    let count = u64::try_from(means.len()).unwrap_or(u64::MAX);
    if let Some(mean) = means.iter().sum::<u64>().checked_div(count) {
        history.mean_run = Duration::from_millis(mean);
    }
    ScalablePool {
        name,
        channel: pool.spec.channel.as_str().to_owned(),
        topics: pool.spec.topics.clone(),
        max: non_negative(scale.max),
        slots: non_negative(pool.spec.slots),
        busy: own.iter().map(|worker| worker.busy).sum(),
        mean_run: history.mean_run,
        target_queue_age: scale.target_queue_age.0,
    }
}

fn queues(report: &LoadReport) -> Vec<QueuedJobs> {
    report
        .queues
        .iter()
        .map(|queue| QueuedJobs {
            channel: queue.channel.as_str().to_owned(),
            track: queue.track.to_string(),
            waiting: queue.jobs,
        })
        .collect()
}

/// Returns a number of the spec, or zero if it is negative, which the schema rejects.
pub(super) fn non_negative(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// Returns the `count` pods with the fewest jobs, by name. A pod that the router does not know has none.
pub(super) fn least_busy<'a>(pods: &[&'a str], report: &LoadReport, count: usize) -> Vec<&'a str> {
    let busy: BTreeMap<&str, u32> =
        report.workers.iter().map(|worker| (worker.name.as_str(), worker.busy)).collect();
    let mut pods: Vec<&str> = pods.to_vec();
    pods.sort_by_key(|pod| (busy.get(pod).copied().unwrap_or(0), *pod));
    pods.truncate(count);
    pods
}

#[cfg(test)]
mod tests;
