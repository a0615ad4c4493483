//! One job's control group, fresh for each job.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, waitpid};
use trackyard_builder::confine::CgroupMount;
use trackyard_protocol::limits::Limits;

use super::layout::Version;
use super::tree::{self, Tree};
use super::usage::{self, Counters};
use super::writes::{NEEDED, Write, writes};
use crate::sandbox::error::Error;

/// What the kernel charges at a time may not fit any more.
const NEARLY: u64 = 1 << 20;

/// The group; dropping it kills what runs in it and removes it.
#[derive(Debug)]
pub(crate) struct JobGroup {
    tree: Arc<Tree>,
    slot: u32,
}

impl JobGroup {
    /// Makes the group with its limits, each read back.
    pub(crate) fn create(tree: Arc<Tree>, slot: u32, limits: &Limits) -> Result<Self, Error> {
        let group = Self { tree, slot };
        group.remove()?;
        for controller in NEEDED {
            let hierarchy = group.tree.layout.with(controller).ok_or_else(|| missing(controller))?;
            group.tree.make_job(hierarchy, slot)?;
        }
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
        let cpus = group.tree.processors().map_or(limits.cpus, |all| limits.cpus.min(all));
        for write in writes(group.version(), &Limits { cpus, ..limits.clone() }, page) {
            group.apply(&write)?;
        }
        Ok(group)
    }

    /// As [`Self::create`], in every hierarchy that there is: for a build, whose own runtime makes groups below it.
    pub(crate) fn create_with_groups_below(
        tree: Arc<Tree>,
        slot: u32,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let group = Self::create(tree, slot, limits)?;
        for hierarchy in &group.tree.layout.hierarchies {
            group.tree.make_job(hierarchy, slot)?;
        }
        Ok(group)
    }

    /// The files into which a process writes its id to come in.
    pub(crate) fn entrances(&self) -> Vec<PathBuf> {
        self.dirs().into_iter().map(|dir| dir.join("cgroup.procs")).collect()
    }

    /// The hierarchies, as they are mounted.
    pub(crate) fn mounts(&self) -> Vec<CgroupMount> {
        let version = self.version();
        self.tree.layout.hierarchies.iter().map(|hierarchy| hierarchy.mounted(version)).collect()
    }

    fn apply(&self, write: &Write) -> Result<(), Error> {
        let file = self.file(write.controller, write.file).ok_or_else(|| missing(write.controller))?;
        if write.optional && !file.exists() {
            return Ok(());
        }
        tree::write(&file, &write.value)?;
        let stands = fs::read_to_string(&file).map_err(Error::cgroup(format!("read {}", file.display())))?;
        if stands.trim() == write.value {
            return Ok(());
        }
        let text = format!("{} holds {} after {} was written", write.file, stands.trim(), write.value);
        Err(Error::cgroup("set a limit")(io::Error::other(text)))
    }

    fn version(&self) -> Version {
        self.tree.layout.version
    }

    fn file(&self, controller: &str, file: &str) -> Option<PathBuf> {
        self.tree.layout.with(controller).map(|hierarchy| self.tree.job(hierarchy, self.slot).join(file))
    }

    fn read(&self, controller: &str, file: &str) -> Option<String> {
        fs::read_to_string(self.file(controller, file)?).ok()
    }

    /// What the job used.
    pub(crate) fn counters(&self) -> Counters {
        usage::counters(self.version(), |controller, file| self.read(controller, file))
    }

    /// The processor time used so far, and how many processes were killed for memory.
    pub(crate) fn watched(&self) -> (Duration, u64) {
        usage::watched(self.version(), |controller, file| self.read(controller, file))
    }

    /// True if the group's memory was full at some time, on version 1. Its count of failures stays at 0 where the
    /// charge came from a group below.
    pub(crate) fn was_full(&self) -> bool {
        let number = |file| self.read("memory", file).and_then(|text| text.trim().parse::<u64>().ok());
        let (peak, limit) = (number("memory.max_usage_in_bytes"), number("memory.limit_in_bytes"));
        peak.zip(limit).is_some_and(|(peak, limit)| peak + NEARLY >= limit)
    }

    /// True where the kernel itself ends the whole job at the first process killed for memory.
    pub(crate) fn kernel_kills_at_oom(&self) -> bool {
        self.version() == Version::V2
    }

    /// True where the kernel has a file to limit swap with.
    pub(crate) fn limits_swap(&self) -> bool {
        let file = match self.version() {
            Version::V1 => "memory.memsw.limit_in_bytes",
            Version::V2 => "memory.swap.max",
        };
        self.file("memory", file).is_some_and(|file| file.exists())
    }

    fn dirs(&self) -> Vec<PathBuf> {
        let job = |hierarchy| self.tree.job(hierarchy, self.slot);
        self.tree.layout.hierarchies.iter().map(job).filter(|dir| dir.exists()).collect()
    }

    /// The group's directories with all groups below them, the deepest first.
    fn dirs_and_below(&self) -> Vec<PathBuf> {
        self.dirs().iter().flat_map(|dir| tree::with_groups_below(dir)).collect()
    }

    /// Kills all of the job and waits until it is gone.
    pub(crate) fn kill(&self) -> Result<(), Error> {
        let dirs = self.dirs_and_below();
        let killed: Vec<Pid> = dirs.iter().flat_map(|dir| tree::kill(dir)).collect();
        let empty = |dir: &PathBuf| tree::await_empty(dir);
        dirs.iter().try_for_each(empty).map_err(Error::cgroup("end a job's processes"))?;
        // What runc left when it was killed itself came to this process as a child.
        for pid in killed {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
        Ok(())
    }

    fn remove(&self) -> Result<(), Error> {
        self.kill()?;
        let removed: Vec<io::Result<()>> =
            self.dirs_and_below().iter().map(|dir| tree::remove(dir)).collect();
        removed.into_iter().collect::<io::Result<()>>().map_err(Error::cgroup("remove a job's group"))
    }
}

impl Drop for JobGroup {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::error!(slot = self.slot, %error, "a job's control group is left behind");
        }
    }
}

pub(crate) fn missing(controller: &str) -> Error {
    Error::host(
        format!("the control group controller {controller} is not there"),
        "enable it (on version 2: Delegate=yes in the worker's unit; cgroup_enable=memory for the kernel)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::cgroup::layout::Layout;

    fn tree(own: &str, mounts: &str) -> Arc<Tree> {
        Arc::new(Tree { layout: Layout::parse(own, mounts).unwrap(), name: "trackyard-w".to_owned() })
    }

    /// A plain directory instead of the kernel's: what is written stays to be read.
    #[test]
    fn version_2_delegates_down_to_the_job_and_limits_it() {
        let root = tempfile::tempdir().unwrap();
        let mounts = format!("34 33 0:30 / {} rw - cgroup2 cgroup2 rw", root.path().display());
        let tree = tree("0::/agent", &mounts);
        fs::create_dir(root.path().join("jobs")).unwrap();
        let group = JobGroup::create(tree, 0, &Limits { pids: 7, ..Limits::default() }).unwrap();
        let read = |file: &str| fs::read_to_string(root.path().join("jobs/trackyard-w").join(file)).unwrap();
        assert_eq!(read("cgroup.subtree_control"), "+memory +pids +cpu");
        assert_eq!(read("slot-0/cgroup.subtree_control"), "+memory +pids +cpu");
        assert_eq!(read("slot-0/job/pids.max"), "7");
        assert_eq!(read("slot-0/job/cpu.max"), "100000 100000");
        fs::write(root.path().join("jobs/trackyard-w/slot-0/job/memory.events"), "oom_kill 1\n").unwrap();
        assert_eq!(group.counters().oom_kills, 1);
        fs::write(root.path().join("jobs/trackyard-w/slot-0/job/cgroup.kill"), "").unwrap();
        group.kill().unwrap();
        assert_eq!(read("slot-0/job/cgroup.kill"), "1");
    }

    #[test]
    fn a_machine_without_a_controller_is_refused_with_the_remedy() {
        let root = tempfile::tempdir().unwrap();
        let mounts = format!("34 33 0:30 / {} rw - cgroup cgroup rw,memory", root.path().display());
        let error = JobGroup::create(tree("4:memory:/", &mounts), 0, &Limits::default()).unwrap_err();
        assert!(error.to_string().starts_with("the control group controller pids is not there; enable it"));
    }

    #[test]
    fn a_limit_that_does_not_stand_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let mounts = format!("34 33 0:30 / {} rw - cgroup2 cgroup2 rw", root.path().display());
        fs::create_dir_all(root.path().join("jobs/trackyard-w/slot-0/job")).unwrap();
        let swap = root.path().join("jobs/trackyard-w/slot-0/job/pids.max");
        std::os::unix::fs::symlink("/dev/null", swap).unwrap();
        let group = JobGroup { tree: tree("0::/", &mounts), slot: 0 };
        let write = Write { controller: "pids", file: "pids.max", value: "7".to_owned(), optional: false };
        let error = group.apply(&write).unwrap_err();
        assert!(error.to_string().contains("pids.max holds  after 7 was written"), "{error}");
    }
}
