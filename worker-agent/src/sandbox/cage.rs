//! A slot's control group, lent to a build.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;
use trackyard_builder::confine::{BuildCgroup, CgroupMount};
use trackyard_protocol::build::BuildLimits;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::quantity::Cpus;

use super::Slot;
use super::cgroup::group::JobGroup;
use super::error::Error;

/// The control group of one build. A build that the worker's death interrupts is ended by the worker's guard, as a job
/// is.
#[derive(Debug)]
pub struct Cage {
    group: JobGroup,
    /// The machine's count of processes killed for memory before the build.
    killed_before: u64,
    _busy: OwnedMutexGuard<()>,
}

impl Slot {
    /// Makes the group of a build. A build may use all processors.
    ///
    /// # Errors
    /// When it cannot be made; nothing is left then.
    pub async fn cage(&mut self, limits: &BuildLimits) -> Result<Cage, Error> {
        let busy = Arc::clone(&self.0.busy).lock_owned().await;
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let cpus = u32::try_from(processors).unwrap_or(1).saturating_mul(1000);
        let limits =
            Limits { memory: limits.memory, pids: limits.pids, cpus: Cpus(cpus), ..Limits::default() };
        let tree = Arc::clone(&self.0.host.entered.tree);
        let group = JobGroup::create_with_groups_below(tree, self.0.number, &limits)?;
        Ok(Cage { group, killed_before: killed_for_memory(), _busy: busy })
    }
}

impl BuildCgroup for Cage {
    fn procs_files(&self) -> Vec<PathBuf> {
        self.group.entrances()
    }

    fn hierarchies(&self) -> Vec<CgroupMount> {
        self.group.mounts()
    }

    fn kill(&self) -> io::Result<()> {
        self.group.kill().map_err(io::Error::other)
    }

    fn was_out_of_memory(&self) -> bool {
        // On version 1 a kill is counted in the group of the process alone, which may have been one that the build's
        // own runc made, and is gone.
        let below = self.group.was_full() && killed_for_memory() > self.killed_before;
        self.group.watched().1 > 0 || below
    }
}

/// How many processes the kernel has killed for want of memory, in any group.
fn killed_for_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}
