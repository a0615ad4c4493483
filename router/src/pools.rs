//! What the operator is told of pools, queues and versions. Pure.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::TrackSlug;
use trackyard_protocol::pools::{Report, VersionFailure, VersionState, Waiting, WorkerLoad};
use trackyard_protocol::version::PinnedVersion;

use crate::deployed::{Deployed, TrackRef};
use crate::dispatch::{Snapshot, WorkerView};

/// Characters of a failure's message.
const MESSAGE: usize = 500;

/// What there is to tell.
#[must_use]
pub fn report(snapshot: &Snapshot, deployed: &Deployed) -> Report {
    let mut report = Report {
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

/// By track: versions have one pool.
fn queues(snapshot: &Snapshot) -> Vec<Waiting> {
    let mut waiting: BTreeMap<(Channel, &TrackSlug), u32> = BTreeMap::new();
    for queue in &snapshot.queues {
        let jobs = u32::try_from(queue.jobs).unwrap_or(u32::MAX);
        let sum = waiting.entry((queue.channel, &queue.track)).or_default();
        *sum = sum.saturating_add(jobs);
    }
    let told = |((channel, track), jobs): ((Channel, &TrackSlug), u32)| Waiting {
        channel,
        track: track.clone(),
        jobs,
    };
    waiting.into_iter().map(told).collect()
}

fn versions(snapshot: &Snapshot, deployed: &Deployed) -> Vec<VersionState> {
    let of = |(place, versions): (TrackRef<'_>, &[PinnedVersion])| {
        let online: Vec<&WorkerView> = snapshot.online(place).collect();
        versions.iter().map(|pinned| state(place, pinned, &online)).collect::<Vec<_>>()
    };
    deployed.iter().flat_map(of).collect()
}

fn state(place: TrackRef<'_>, pinned: &PinnedVersion, online: &[&WorkerView]) -> VersionState {
    let count = |workers: usize| u32::try_from(workers).unwrap_or(u32::MAX);
    VersionState {
        channel: place.channel,
        track: place.track.clone(),
        version: pinned.clone(),
        workers: count(online.len()),
        ready: count(online.iter().filter(|worker| worker.has(place, pinned)).count()),
        failures: failures(place, pinned, online),
    }
}

fn failures(place: TrackRef<'_>, pinned: &PinnedVersion, online: &[&WorkerView]) -> Vec<VersionFailure> {
    let mut failures: BTreeMap<&str, VersionFailure> = BTreeMap::new();
    let all = online.iter().flat_map(|worker| &worker.failed);
    for failed in
        all.filter(|failed| failed.version.track == *place.track && failed.version.version == *pinned)
    {
        let entry = failures.entry(&failed.reason).or_insert_with(|| VersionFailure {
            reason: failed.reason.clone(),
            message: failed.message.chars().take(MESSAGE).collect(),
            workers: 0,
        });
        entry.workers += 1;
    }
    failures.into_values().collect()
}

#[cfg(test)]
mod tests;
