//! A slot's cgroup, used by a build.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;
use trackyard_builder::confine::{BuildCgroup, CgroupMount};
use trackyard_protocol::build::BuildLimits;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::quantity::Cpus;

use super::Slot;
use super::cgroup::job::JobCgroup;
use super::error::SandboxError;

/// The cgroup of one build. If the worker dies, its guard ends the build like a job.
#[derive(Debug)]
pub struct SlotCgroup {
    cgroup: JobCgroup,
    /// The machine's count of processes killed for memory, before the build.
    oom_kills_before: u64,
    _busy: OwnedMutexGuard<()>,
}

impl Slot {
    /// Makes the cgroup of a build. A build may use all processors.
    ///
    /// # Errors
    /// When it cannot be made; nothing is left then.
    pub async fn build_cgroup(&mut self, limits: &BuildLimits) -> Result<SlotCgroup, SandboxError> {
        let busy = Arc::clone(&self.0.busy).lock_owned().await;
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let cpus = u32::try_from(processors).unwrap_or(1).saturating_mul(1000);
        let limits =
            Limits { memory: limits.memory, pids: limits.pids, cpus: Cpus(cpus), ..Limits::default() };
        let worker = Arc::clone(&self.0.host.entered.cgroup);
        let cgroup = JobCgroup::create_for_build(worker, self.0.number, &limits)?;
        Ok(SlotCgroup { cgroup, oom_kills_before: machine_oom_kills(), _busy: busy })
    }
}

impl BuildCgroup for SlotCgroup {
    fn procs_files(&self) -> Vec<PathBuf> {
        self.cgroup.procs_files()
    }

    fn hierarchies(&self) -> Vec<CgroupMount> {
        self.cgroup.mounts()
    }

    fn kill(&self) -> io::Result<()> {
        self.cgroup.kill().map_err(io::Error::other)
    }

    fn was_out_of_memory(&self) -> bool {
        // Version 1 counts a kill only in the killed process's own group. The build's own runc may have made that group
        // below this one, and it is gone.
        let below = self.cgroup.memory_was_full() && machine_oom_kills() > self.oom_kills_before;
        self.cgroup.live_stats().oom_kills > 0 || below
    }
}

/// Returns how many processes the kernel has killed for lack of memory, in any group.
fn machine_oom_kills() -> u64 {
    let text = std::fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}
