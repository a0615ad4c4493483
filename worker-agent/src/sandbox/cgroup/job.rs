//! One job's cgroup, fresh for each job.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::process::{Pid, WaitOptions, waitpid};
use trackyard_builder::confine::CgroupMount;
use trackyard_protocol::limits::Limits;

use super::group_dir;
use super::layout::{Hierarchy, Version};
use super::settings::{REQUIRED_CONTROLLERS, Setting, settings};
use super::stats::{self, CgroupStats, LiveStats};
use super::worker::WorkerCgroup;
use crate::sandbox::error::SandboxError;

/// The kernel charges memory in batches, so a full group may be short of its limit by at most this many bytes.
const MAX_UNUSED_CHARGE: u64 = 1 << 20;

/// The cgroup of a slot's job. Dropping it kills what runs in it and removes it.
#[derive(Debug)]
pub(crate) struct JobCgroup {
    worker: Arc<WorkerCgroup>,
    slot: u32,
}

impl JobCgroup {
    /// Makes the group with its limits, and reads each limit back.
    pub(crate) fn create(
        worker: Arc<WorkerCgroup>,
        slot: u32,
        limits: &Limits,
    ) -> Result<Self, SandboxError> {
        let cgroup = Self { worker, slot };
        cgroup.remove()?;
        for controller in REQUIRED_CONTROLLERS {
            cgroup.worker.create_job_dir(cgroup.hierarchy(controller)?, slot)?;
        }
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
        let cpus = cgroup.worker.cpu_quota().map_or(limits.cpus, |quota| limits.cpus.min(quota));
        for setting in settings(cgroup.version(), &Limits { cpus, ..limits.clone() }, page) {
            cgroup.apply(&setting)?;
        }
        Ok(cgroup)
    }

    /// Makes the group as [`Self::create`] does, but in every hierarchy: a build's own runtime makes groups below it.
    pub(crate) fn create_for_build(
        worker: Arc<WorkerCgroup>,
        slot: u32,
        limits: &Limits,
    ) -> Result<Self, SandboxError> {
        let cgroup = Self::create(worker, slot, limits)?;
        for hierarchy in &cgroup.worker.layout.hierarchies {
            cgroup.worker.create_job_dir(hierarchy, slot)?;
        }
        Ok(cgroup)
    }

    /// Returns the files into which a process writes its id to join the group.
    pub(crate) fn procs_files(&self) -> Vec<PathBuf> {
        self.dirs().into_iter().map(|dir| dir.join("cgroup.procs")).collect()
    }

    /// Returns the hierarchies, as they are mounted.
    pub(crate) fn mounts(&self) -> Vec<CgroupMount> {
        let version = self.version();
        self.worker.layout.hierarchies.iter().map(|hierarchy| hierarchy.mounted(version)).collect()
    }

    fn apply(&self, setting: &Setting) -> Result<(), SandboxError> {
        let file = self.worker.job_dir(self.hierarchy(setting.controller)?, self.slot).join(setting.file);
        if setting.optional && !file.exists() {
            return Ok(());
        }
        group_dir::write(&file, &setting.value)?;
        let found =
            fs::read_to_string(&file).map_err(SandboxError::cgroup(format!("read {}", file.display())))?;
        if found.trim() == setting.value {
            return Ok(());
        }
        let text = format!("{} holds {} after {} was written", setting.file, found.trim(), setting.value);
        Err(SandboxError::cgroup("set a limit")(io::Error::other(text)))
    }

    fn version(&self) -> Version {
        self.worker.layout.version
    }

    fn hierarchy(&self, controller: &str) -> Result<&Hierarchy, SandboxError> {
        self.worker.layout.with(controller).ok_or_else(|| SandboxError::missing_controller(controller))
    }

    fn file(&self, controller: &str, file: &str) -> Option<PathBuf> {
        self.worker
            .layout
            .with(controller)
            .map(|hierarchy| self.worker.job_dir(hierarchy, self.slot).join(file))
    }

    fn read(&self, controller: &str, file: &str) -> Option<String> {
        fs::read_to_string(self.file(controller, file)?).ok()
    }

    fn read_number(&self, controller: &str, file: &str) -> Option<u64> {
        self.read(controller, file)?.trim().parse().ok()
    }

    /// Returns what the job used.
    pub(crate) fn stats(&self) -> CgroupStats {
        stats::stats(self.version(), |controller, file| self.read(controller, file))
    }

    /// Returns what is watched while the job runs.
    pub(crate) fn live_stats(&self) -> LiveStats {
        stats::live_stats(self.version(), |controller, file| self.read(controller, file))
    }

    /// Returns true if the group's memory was full at some time, on version 1. The kernel's own count of failures
    /// stays at 0 if the charge came from a group below.
    pub(crate) fn memory_was_full(&self) -> bool {
        let peak = self.read_number("memory", "memory.max_usage_in_bytes");
        let limit = self.read_number("memory", "memory.limit_in_bytes");
        peak.zip(limit).is_some_and(|(peak, limit)| peak + MAX_UNUSED_CHARGE >= limit)
    }

    /// Returns true if the kernel ends the whole job at the first process killed for memory.
    pub(crate) fn kernel_kills_at_oom(&self) -> bool {
        self.version() == Version::V2
    }

    /// Returns true if the kernel has a file to limit swap with.
    pub(crate) fn limits_swap(&self) -> bool {
        let file = match self.version() {
            Version::V1 => "memory.memsw.limit_in_bytes",
            Version::V2 => "memory.swap.max",
        };
        self.file("memory", file).is_some_and(|file| file.exists())
    }

    fn dirs(&self) -> Vec<PathBuf> {
        let hierarchies = self.worker.layout.hierarchies.iter();
        let dirs = hierarchies.map(|hierarchy| self.worker.job_dir(hierarchy, self.slot));
        dirs.filter(|dir| dir.exists()).collect()
    }

    /// Returns the group's directories with all groups below them, the deepest first.
    fn subtrees(&self) -> Vec<PathBuf> {
        self.dirs().iter().flat_map(|dir| group_dir::subtree(dir)).collect()
    }

    /// Kills all processes of the job and waits until they are gone.
    pub(crate) fn kill(&self) -> Result<(), SandboxError> {
        let dirs = self.subtrees();
        let killed: Vec<Pid> = dirs.iter().flat_map(|dir| group_dir::kill(dir)).collect();
        dirs.iter()
            .try_for_each(|dir| group_dir::wait_until_empty(dir))
            .map_err(SandboxError::cgroup("end a job's processes"))?;
        // A runc that was killed leaves its processes to this one, as children to reap.
        for pid in killed {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
        Ok(())
    }

    fn remove(&self) -> Result<(), SandboxError> {
        self.kill()?;
        // A group that cannot be removed must not keep another one.
        let removed: Vec<io::Result<()>> = self.subtrees().iter().map(|dir| group_dir::remove(dir)).collect();
        removed.into_iter().collect::<io::Result<()>>().map_err(SandboxError::cgroup("remove a job's group"))
    }
}

impl Drop for JobCgroup {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::error!(slot = self.slot, %error, "a job's cgroup is left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::cgroup::layout::Layout;

    fn worker_cgroup(own: &str, mounts: &str) -> Arc<WorkerCgroup> {
        let layout = Layout::parse(own, mounts).unwrap();
        Arc::new(WorkerCgroup { layout, name: "trackyard-w".to_owned() })
    }

    /// A plain directory stands in for the kernel's: what is written can be read.
    #[test]
    fn version_2_delegates_down_to_the_job() {
        let root = tempfile::tempdir().unwrap();
        let mounts = format!("34 33 0:30 / {} rw - cgroup2 cgroup2 rw", root.path().display());
        fs::create_dir(root.path().join("jobs")).unwrap();
        let limits = Limits { pids: 7, ..Limits::default() };
        let cgroup = JobCgroup::create(worker_cgroup("0::/agent", &mounts), 0, &limits).unwrap();
        let read = |file: &str| fs::read_to_string(root.path().join("jobs/trackyard-w").join(file)).unwrap();
        assert_eq!(read("cgroup.subtree_control"), "+memory +pids +cpu");
        assert_eq!(read("slot-0/cgroup.subtree_control"), "+memory +pids +cpu");
        assert_eq!(read("slot-0/job/pids.max"), "7");
        assert_eq!(read("slot-0/job/cpu.max"), "100000 100000");
        fs::write(root.path().join("jobs/trackyard-w/slot-0/job/memory.events"), "oom_kill 1\n").unwrap();
        assert_eq!(cgroup.stats().oom_kills, 1);
        fs::write(root.path().join("jobs/trackyard-w/slot-0/job/cgroup.kill"), "").unwrap();
        cgroup.kill().unwrap();
        assert_eq!(read("slot-0/job/cgroup.kill"), "1");
    }

    #[test]
    fn a_missing_controller_is_refused_with_the_remedy() {
        let root = tempfile::tempdir().unwrap();
        let mounts = format!("34 33 0:30 / {} rw - cgroup cgroup rw,memory", root.path().display());
        let worker = worker_cgroup("4:memory:/", &mounts);
        let error = JobCgroup::create(worker, 0, &Limits::default()).unwrap_err();
        assert!(error.to_string().starts_with("the cgroup controller pids is not there; enable it"));
    }

    #[test]
    fn a_limit_that_does_not_read_back_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let mounts = format!("34 33 0:30 / {} rw - cgroup2 cgroup2 rw", root.path().display());
        fs::create_dir_all(root.path().join("jobs/trackyard-w/slot-0/job")).unwrap();
        let pids = root.path().join("jobs/trackyard-w/slot-0/job/pids.max");
        std::os::unix::fs::symlink("/dev/null", pids).unwrap();
        let cgroup = JobCgroup { worker: worker_cgroup("0::/", &mounts), slot: 0 };
        let setting =
            Setting { controller: "pids", file: "pids.max", value: "7".to_owned(), optional: false };
        let error = cgroup.apply(&setting).unwrap_err();
        assert!(error.to_string().contains("pids.max holds  after 7 was written"), "{error}");
    }
}
