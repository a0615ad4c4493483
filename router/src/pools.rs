//! The load report for the operator: workers, queues and versions. Pure.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use trackyard_protocol::channel::Channel;
use trackyard_protocol::load_report::{LoadReport, QueuedJobs, VersionFailure, VersionState, WorkerLoad};
use trackyard_protocol::name::TrackSlug;
use trackyard_protocol::version::PinnedVersion;

use crate::deployed::{Deployed, ToolingRef};
use crate::dispatch::{Snapshot, WorkerView};

/// Maximum number of characters of a failure's message.
const MAX_MESSAGE_CHARS: usize = 500;

/// Returns the load report. Its revision is a hash of its content.
#[must_use]
pub fn report(snapshot: &Snapshot, deployed: &Deployed) -> LoadReport {
    let mut report = LoadReport {
        revision: String::new(),
        recovering: snapshot.recovering,
        workers: snapshot.workers.iter().filter_map(load).collect(),
        queues: queues(snapshot),
        versions: versions(snapshot, deployed),
    };
    let mut hasher = DefaultHasher::new();
    serde_json::to_string(&report).unwrap_or_default().hash(&mut hasher);
    report.revision = format!("{:016x}", hasher.finish());
    report
}

fn load(worker: &WorkerView) -> Option<WorkerLoad> {
    Some(WorkerLoad {
        name: worker.name.clone(),
        pool: worker.pool.clone()?,
        channel: worker.channel,
        topics: worker.topics.clone(),
        slots: worker.slots,
        busy: worker.busy,
        draining: worker.draining,
        mean_run_ms: worker.mean_run_ms,
    })
}

/// Returns the number of waiting jobs by track: all versions of a track share its pools.
fn queues(snapshot: &Snapshot) -> Vec<QueuedJobs> {
    let mut waiting: BTreeMap<(Channel, &TrackSlug), u32> = BTreeMap::new();
    for queue in &snapshot.queues {
        let jobs = u32::try_from(queue.jobs).unwrap_or(u32::MAX);
        let sum = waiting.entry((queue.channel, &queue.track)).or_default();
        *sum = sum.saturating_add(jobs);
    }
    let waiting = waiting.into_iter();
    waiting.map(|((channel, track), jobs)| QueuedJobs { channel, track: track.clone(), jobs }).collect()
}

fn versions(snapshot: &Snapshot, deployed: &Deployed) -> Vec<VersionState> {
    let mut states = Vec::new();
    for (track, versions) in deployed.iter() {
        let online: Vec<&WorkerView> = snapshot.online(track).collect();
        states.extend(versions.iter().map(|pinned| state(track, pinned, &online)));
    }
    states
}

fn state(track: ToolingRef<'_>, pinned: &PinnedVersion, online: &[&WorkerView]) -> VersionState {
    let ready = online.iter().filter(|worker| worker.has(track, pinned)).count();
    VersionState {
        channel: track.channel,
        track: track.track.clone(),
        version: pinned.clone(),
        workers: u32::try_from(online.len()).unwrap_or(u32::MAX),
        ready: u32::try_from(ready).unwrap_or(u32::MAX),
        failures: failures(track, pinned, online),
    }
}

fn failures(track: ToolingRef<'_>, pinned: &PinnedVersion, online: &[&WorkerView]) -> Vec<VersionFailure> {
    let mut failures: BTreeMap<&str, VersionFailure> = BTreeMap::new();
    let all = online.iter().flat_map(|worker| &worker.failed);
    for failed in
        all.filter(|failed| failed.version.track == *track.track && failed.version.version == *pinned)
    {
        let entry = failures.entry(&failed.reason).or_insert_with(|| VersionFailure {
            reason: failed.reason.clone(),
            message: failed.message.chars().take(MAX_MESSAGE_CHARS).collect(),
            workers: 0,
        });
        entry.workers += 1;
    }
    failures.into_values().collect()
}

#[cfg(test)]
mod tests;
