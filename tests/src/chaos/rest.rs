//! What is left: descriptors of processes at rest, and after their end processes, mounts, control groups and files.

mod descriptors;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use self::descriptors::Descriptors;
use super::clock::Clock;
use super::ledger::Ledger;
use super::yard::Yard;
use crate::leftovers;
use crate::wait::seconds;

/// Where workers keep what the machine must know of them.
const SHARED: &str = "/run/trackyard";
/// What a worker's directory may hold when it has ended: images, the known good job, and whose directory it is.
const KEPT: [&str; 4] = ["layers", "images", "canary", "lock"];

/// The machine and the processes before a run.
pub(super) struct Before {
    descriptors: Descriptors,
    groups: BTreeSet<PathBuf>,
    shared: BTreeSet<PathBuf>,
}

impl Before {
    /// `groups` and `shared` are of the time before the yard.
    pub(super) fn look() -> Self {
        let (groups, shared) = (leftovers::cgroups().into_iter().collect(), files(Path::new(SHARED)));
        Self { descriptors: Descriptors::default(), groups, shared }
    }

    /// The processes, ready and without work.
    pub(super) fn count(&mut self, yard: &mut Yard) {
        self.descriptors = Descriptors::look(yard);
    }

    /// Compares processes at rest: soon they must be as before.
    pub(super) fn compare(&self, yard: &mut Yard, ledger: &mut Ledger) {
        let until = Instant::now() + seconds(20);
        loop {
            let mut wrong = Descriptors::look(yard).grown(&self.descriptors, yard.slots);
            wrong.extend(busy(&yard.router.status()));
            if wrong.is_empty() {
                return;
            }
            if Instant::now() > until {
                return ledger.complaints.extend(wrong);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends all processes as an administrator would, and looks for what they left.
    pub(super) fn end(&self, mut yard: Yard, ledger: &mut Ledger, clock: Clock) {
        for seat in &mut yard.seats {
            let Some(worker) = &mut seat.worker else { continue };
            worker.process().signal(Signal::TERM);
            let status = worker.process().wait_for_exit(seconds(30));
            if !status.success() {
                ledger.complaints.push(format!("{} ended with {status}", seat.name));
            }
            let left = files_of_jobs(&seat.disk.dir());
            ledger.complaints.extend(left.iter().map(|path| format!("left on disk: {}", path.display())));
            ledger.add_starts(seat.starts(clock));
        }
        let status = yard.router.stop();
        if !status.success() {
            ledger.complaints.push(format!("the router ended with {status}"));
        }
        drop(yard);
        ledger.complaints.extend(self.left());
    }

    fn left(&self) -> Vec<String> {
        let until = Instant::now() + seconds(10);
        loop {
            let groups = leftovers::cgroups().into_iter().filter(|group| !self.groups.contains(group));
            let shared = files(Path::new(SHARED)).into_iter().filter(|file| !self.shared.contains(file));
            let paths = groups.chain(shared).map(|path| format!("left: {}", path.display()));
            let mounts = leftovers::mounts().into_iter().map(|mount| format!("left mounted: {mount}"));
            let processes =
                leftovers::processes().into_iter().map(|process| format!("still runs: {process}"));
            let left: Vec<String> = paths.chain(mounts).chain(processes).collect();
            if left.is_empty() || Instant::now() > until {
                return left;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// What the router still holds of jobs.
fn busy(status: &Value) -> Option<String> {
    let totals = status.get("dispatch")?.get("totals")?;
    let none = |field: &&str| totals.get(*field).and_then(Value::as_u64) == Some(0);
    let held: Vec<&str> =
        ["jobs", "waiting", "attempts", "waiters"].into_iter().filter(|field| !none(field)).collect();
    (!held.is_empty()).then(|| format!("at rest the router holds {held:?}: {totals}"))
}

/// What a worker's directory holds beside its images.
fn files_of_jobs(dir: &Path) -> Vec<PathBuf> {
    let kept = |path: &PathBuf| {
        path.strip_prefix(dir).is_ok_and(|path| KEPT.iter().any(|kept| path.starts_with(kept)))
    };
    files(dir).into_iter().filter(|path| !kept(path)).collect()
}

fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(files(&entry.path()));
        } else {
            found.insert(entry.path());
        }
    }
    found
}
