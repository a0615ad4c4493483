//! Finds leaks: descriptors of idle processes, and processes, mounts, cgroups and files after their end.

mod descriptors;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use self::descriptors::Descriptors;
use super::clock::Clock;
use super::fleet::Fleet;
use super::history::History;
use crate::leftovers;
use crate::wait::seconds;

/// Directory of the workers' state that concerns the whole machine.
const RUN_DIR: &str = "/run/trackyard";
/// What a worker's directory may hold after its end: images, the canary job and the lock.
const PERMANENT: [&str; 4] = ["layers", "images", "canary", "lock"];

/// The state of the machine and the processes before a run.
pub(super) struct Baseline {
    descriptors: Descriptors,
    groups: BTreeSet<PathBuf>,
    run_files: BTreeSet<PathBuf>,
}

impl Baseline {
    /// Records the machine's state before the fleet starts.
    pub(super) fn of_machine() -> Self {
        let groups = leftovers::cgroups().into_iter().collect();
        let run_files = files(Path::new(RUN_DIR));
        Self { descriptors: Descriptors::default(), groups, run_files }
    }

    /// Adds the descriptors of the fleet's processes, which are ready and idle.
    pub(super) fn add_processes(&mut self, fleet: &mut Fleet) {
        self.descriptors = Descriptors::count(fleet);
    }

    /// Waits until the idle processes hold no more than before; notes a problem if they still do after 20 s.
    pub(super) fn compare(&self, fleet: &mut Fleet, history: &mut History) {
        let until = Instant::now() + seconds(20);
        loop {
            let mut problems = Descriptors::count(fleet).grown(&self.descriptors, fleet.slots);
            problems.extend(held_by_router(&fleet.router.status()));
            if problems.is_empty() {
                return;
            }
            if Instant::now() > until {
                return history.problems.extend(problems);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Stops all processes as an administrator would, and notes what they left.
    pub(super) fn stop_and_compare(&self, mut fleet: Fleet, history: &mut History, clock: Clock) {
        for node in &mut fleet.nodes {
            let Some(worker) = &mut node.worker else { continue };
            worker.process().signal(Signal::TERM);
            let status = worker.process().wait_for_exit(seconds(30));
            if !status.success() {
                history.problems.push(format!("{} ended with {status}", node.name));
            }
            let left = job_files(&node.disk.dir());
            history.problems.extend(left.iter().map(|path| format!("left on disk: {}", path.display())));
            history.add_starts(node.starts(clock));
        }
        let status = fleet.router.stop();
        if !status.success() {
            history.problems.push(format!("the router ended with {status}"));
        }
        drop(fleet);
        history.problems.extend(self.remaining());
    }

    /// Returns what is left on the machine 10 s after the end, or nothing as soon as nothing is left.
    fn remaining(&self) -> Vec<String> {
        let until = Instant::now() + seconds(10);
        loop {
            let groups = leftovers::cgroups().into_iter().filter(|group| !self.groups.contains(group));
            let run_files =
                files(Path::new(RUN_DIR)).into_iter().filter(|file| !self.run_files.contains(file));
            let paths = groups.chain(run_files).map(|path| format!("left: {}", path.display()));
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

/// Returns a problem if the idle router still holds jobs.
fn held_by_router(status: &Value) -> Option<String> {
    let totals = status.get("dispatch")?.get("totals")?;
    let fields = ["jobs", "waiting", "attempts", "waiters"].into_iter();
    let held: Vec<&str> =
        fields.filter(|field| totals.get(*field).and_then(Value::as_u64) != Some(0)).collect();
    (!held.is_empty()).then(|| format!("the idle router holds {held:?}: {totals}"))
}

/// Returns the files in a worker's directory other than the [`PERMANENT`] ones.
fn job_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = files(dir);
    files.retain(|path| {
        !path.strip_prefix(dir).is_ok_and(|path| PERMANENT.iter().any(|kept| path.starts_with(kept)))
    });
    files.into_iter().collect()
}

/// Returns all files below a directory.
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
