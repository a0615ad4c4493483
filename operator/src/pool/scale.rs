//! From the router's figures to a pool's number of pods, and to the pods that go first.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::ResourceExt;
use trackyard_crds::WorkerPool;
use trackyard_crds::worker_pool::Autoscale;
use trackyard_protocol::pools::{Report, WorkerLoad};

use super::autoscale::{Autoscaler, Decision, Policy, Sample};
use super::demand::{Candidate, Queue, assign};

/// Remembers what pools needed. By name: a pool that is made again begins anew when its first decision is due.
#[derive(Debug)]
pub(super) struct Scaler {
    began: Instant,
    pools: Mutex<HashMap<String, Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    uid: String,
    autoscaler: Autoscaler,
    /// Kept while no worker is left to tell.
    mean_run: Duration,
}

impl Default for Scaler {
    fn default() -> Self {
        Self { began: Instant::now(), pools: Mutex::default() }
    }
}

impl Scaler {
    /// How many pods a pool that has `current` ones shall have; none if it scales not by itself, or nothing is known.
    pub(super) fn desired(
        &self,
        pool: &WorkerPool,
        current: u32,
        all: &[impl AsRef<WorkerPool>],
        report: Option<&Report>,
    ) -> Option<u32> {
        let scale = pool.spec.autoscale.as_ref()?;
        let report = report?;
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let scaled = || all.iter().map(AsRef::as_ref).filter(|pool| pool.spec.autoscale.is_some());
        pools.retain(|name, _| scaled().any(|pool| pool.name_any() == *name));
        let candidates: Vec<Candidate> = scaled()
            .filter(|pool| !pool.spec.suspend)
            .filter_map(|pool| {
                Some(candidate(pool, pool.spec.autoscale.as_ref()?, report, remember(&mut pools, pool)))
            })
            .collect();
        let waiting = assign(&queues(report), &candidates);
        let own = candidates.iter().find(|candidate| candidate.name == pool.name_any())?;
        let sample = Sample {
            age: Duration::ZERO,
            busy: own.busy,
            waiting: waiting.get(&own.name).copied().unwrap_or(0),
            mean_run: own.mean_run,
        };
        let memory = remember(&mut pools, pool);
        match memory.autoscaler.decide(self.began.elapsed(), &policy(pool, scale), current, &sample) {
            Decision::Set(pods) => Some(pods),
            Decision::Hold => None,
        }
    }
}

fn remember<'a>(pools: &'a mut HashMap<String, Memory>, pool: &WorkerPool) -> &'a mut Memory {
    let memory = pools.entry(pool.name_any()).or_default();
    let uid = pool.uid().unwrap_or_default();
    if memory.uid != uid {
        *memory = Memory { uid, ..Memory::default() };
    }
    memory
}

fn policy(pool: &WorkerPool, scale: &Autoscale) -> Policy {
    Policy {
        min: positive(scale.min),
        max: positive(scale.max).max(positive(scale.min)),
        slots: positive(pool.spec.slots),
        target_queue_age: scale.target_queue_age.0,
        scale_down_after: scale.scale_down_after.0,
    }
}

fn candidate(pool: &WorkerPool, scale: &Autoscale, report: &Report, memory: &mut Memory) -> Candidate {
    let name = pool.name_any();
    let own: Vec<&WorkerLoad> = report.workers.iter().filter(|worker| worker.pool.as_str() == name).collect();
    let ran: Vec<u64> = own.iter().map(|worker| worker.mean_run_ms).filter(|ms| *ms > 0).collect();
    let count = u64::try_from(ran.len()).unwrap_or(u64::MAX);
    if let Some(mean) = ran.iter().sum::<u64>().checked_div(count) {
        memory.mean_run = Duration::from_millis(mean);
    }
    Candidate {
        name,
        channel: pool.spec.channel.as_str().to_owned(),
        topics: pool.spec.topics.clone(),
        max: positive(scale.max),
        slots: positive(pool.spec.slots),
        busy: own.iter().map(|worker| worker.busy).sum(),
        mean_run: memory.mean_run,
        target_queue_age: scale.target_queue_age.0,
    }
}

fn queues(report: &Report) -> Vec<Queue> {
    let queue = |waiting: &trackyard_protocol::pools::Waiting| Queue {
        channel: waiting.channel.as_str().to_owned(),
        track: waiting.track.to_string(),
        waiting: waiting.jobs,
    };
    report.queues.iter().map(queue).collect()
}

fn positive(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// The pods that go when there are to be `fewer`: those with the fewest jobs, by name. A pod of which the router knows
/// nothing does nothing yet.
pub(super) fn idlest<'a>(pods: &[&'a str], report: &Report, fewer: usize) -> Vec<&'a str> {
    let busy: BTreeMap<&str, u32> =
        report.workers.iter().map(|worker| (worker.name.as_str(), worker.busy)).collect();
    let mut pods: Vec<&str> = pods.to_vec();
    pods.sort_by_key(|pod| (busy.get(pod).copied().unwrap_or(0), *pod));
    pods.truncate(fewer);
    pods
}

#[cfg(test)]
mod tests;
