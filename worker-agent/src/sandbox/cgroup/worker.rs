//! The worker's part of the cgroup tree: `<own>/trackyard-<worker>-<hash>/slot-N/job`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use trackyard_protocol::quantity::Cpus;

use super::group_dir::{POLL_INTERVAL, make, processes, remove_tree, write};
use super::layout::{AGENT_LEAF, Hierarchy, Layout, Version};
use crate::sandbox::error::SandboxError;

/// How long moving the processes out of the worker's group may take; new ones may join it meanwhile.
const MOVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Directory beside the worker's leaf that holds the jobs' groups, on version 2.
const JOBS_DIR: &str = "jobs";
const V2_CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

/// The worker's own part of each hierarchy.
#[derive(Debug, Clone)]
pub(crate) struct WorkerCgroup {
    pub(crate) layout: Layout,
    pub(super) name: String,
}

impl WorkerCgroup {
    /// Finds the hierarchies for the worker called `name`. Nothing is made yet.
    pub(crate) fn find(name: &str) -> Result<Self, SandboxError> {
        Ok(Self { layout: Layout::read()?, name: name.to_owned() })
    }

    /// Returns the processors that this worker may use as a whole, if they are limited. Version 1 refuses a group below
    /// that may use more.
    pub(super) fn cpu_quota(&self) -> Option<Cpus> {
        let hierarchy = self.layout.with("cpu").filter(|_| self.layout.version == Version::V1)?;
        let number =
            |file: &str| fs::read_to_string(hierarchy.own.join(file)).ok()?.trim().parse::<u64>().ok();
        let quota = number("cpu.cfs_quota_us")?.checked_mul(1000)?;
        u32::try_from(quota / number("cpu.cfs_period_us")?.max(1)).ok().map(Cpus)
    }

    /// Moves this process to where its jobs can have limits: on version 2 into a leaf of its own.
    pub(crate) fn enter(&self) -> Result<(), SandboxError> {
        let (Version::V2, Some(hierarchy)) = (self.layout.version, self.layout.hierarchies.first()) else {
            return Ok(());
        };
        let own = &hierarchy.own;
        require_controllers(own)?;
        let leaf = own.join(AGENT_LEAF);
        make(&leaf)?;
        write(&leaf.join("cgroup.procs"), "0")?;
        delegate_from(own, &leaf)?;
        make(&own.join(JOBS_DIR))?;
        delegate(&own.join(JOBS_DIR))
    }

    /// Returns the worker's directory in a hierarchy.
    fn dir(&self, hierarchy: &Hierarchy) -> PathBuf {
        match self.layout.version {
            Version::V1 => hierarchy.own.join(&self.name),
            Version::V2 => hierarchy.own.join(JOBS_DIR).join(&self.name),
        }
    }

    /// Returns the directory of a slot's job in a hierarchy.
    pub(crate) fn job_dir(&self, hierarchy: &Hierarchy, slot: u32) -> PathBuf {
        self.dir(hierarchy).join(format!("slot-{slot}")).join("job")
    }

    /// Returns the group of a slot's job as `runc` wants it named: relative to its own group on version 1 (which
    /// differs between hierarchies), from the mount's top on version 2.
    pub(crate) fn oci_path(&self, slot: u32) -> String {
        match (self.layout.version, self.layout.hierarchies.first()) {
            (Version::V2, Some(hierarchy)) => {
                let job = self.job_dir(hierarchy, slot);
                let path = job.strip_prefix(&hierarchy.mount_point).unwrap_or(&job);
                format!("/{}", path.display())
            }
            _ => format!("{}/slot-{slot}/job", self.name),
        }
    }

    /// Makes a slot's group in one hierarchy, with its parents.
    pub(crate) fn create_job_dir(&self, hierarchy: &Hierarchy, slot: u32) -> Result<PathBuf, SandboxError> {
        let job = self.job_dir(hierarchy, slot);
        let slot = job.parent().unwrap_or(&job);
        for dir in [slot.parent().unwrap_or(slot), slot] {
            make(dir)?;
            if self.layout.version == Version::V2 {
                delegate(dir)?;
            }
        }
        make(&job)?;
        if hierarchy.controllers.iter().any(|controller| controller == "cpuset") {
            [slot.parent().unwrap_or(slot), slot, &job].into_iter().try_for_each(inherit_cpuset)?;
        }
        Ok(job)
    }

    /// Kills whatever runs in any slot and removes all groups. Called at the start, at the end and by the guard.
    pub(crate) fn sweep(&self) -> Result<(), SandboxError> {
        let dirs = self.layout.hierarchies.iter().map(|hierarchy| self.dir(hierarchy));
        // A group that cannot be removed must not keep another one.
        let removed: Vec<Result<(), SandboxError>> = dirs
            .filter(|dir| dir.exists())
            .map(|dir| remove_tree(&dir).map_err(SandboxError::cgroup(format!("remove {}", dir.display()))))
            .collect();
        removed.into_iter().collect()
    }
}

/// Gives a new group its parent's processors and memory nodes: on version 1 it may use none until it is told.
fn inherit_cpuset(dir: &Path) -> Result<(), SandboxError> {
    let Some(parent) = dir.parent() else { return Ok(()) };
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let above = parent.join(file);
        let value =
            fs::read_to_string(&above).map_err(SandboxError::cgroup(format!("read {}", above.display())))?;
        write(&dir.join(file), value.trim())?;
    }
    Ok(())
}

/// Refuses a group that cannot limit what jobs must be limited in.
fn require_controllers(own: &Path) -> Result<(), SandboxError> {
    let file = own.join("cgroup.controllers");
    let text = fs::read_to_string(&file).map_err(SandboxError::cgroup(format!("read {}", file.display())))?;
    let missing = V2_CONTROLLERS
        .into_iter()
        .find(|controller| !text.split_whitespace().any(|name| name == *controller));
    missing.map_or(Ok(()), |controller| Err(SandboxError::missing_controller(controller)))
}

/// Lets groups below `dir` have limits, on version 2.
fn delegate(dir: &Path) -> Result<(), SandboxError> {
    write(&dir.join("cgroup.subtree_control"), &V2_CONTROLLERS.map(|name| format!("+{name}")).join(" "))
}

/// Delegates a group that this process was in. Other processes in it, such as the shell that the worker was started
/// from, are moved into the leaf too: they stay within the same group's limits.
fn delegate_from(own: &Path, leaf: &Path) -> Result<(), SandboxError> {
    let deadline = Instant::now() + MOVE_TIMEOUT;
    loop {
        match delegate(own) {
            Err(SandboxError::Cgroup { source, .. })
                if source.kind() == io::ErrorKind::ResourceBusy && Instant::now() < deadline =>
            {
                for pid in processes(own) {
                    // It may have exited meanwhile. A process that cannot be moved makes the next `delegate` fail.
                    let _ = fs::write(leaf.join("cgroup.procs"), pid.as_raw_nonzero().to_string());
                }
                std::thread::sleep(POLL_INTERVAL);
            }
            Err(SandboxError::Cgroup { what, source }) => {
                return Err(SandboxError::host(
                    format!(
                        "this worker's cgroup cannot have limited groups below it (cannot {what}: {source})"
                    ),
                    "start the worker in a group of its own: systemd-run --scope -p Delegate=yes, or Delegate=yes in its unit",
                ));
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_2_paths_start_at_the_mount() {
        let layout =
            Layout::parse("0::/a/agent", "34 33 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw").unwrap();
        let worker = WorkerCgroup { layout, name: "trackyard-w".to_owned() };
        assert_eq!(worker.oci_path(3), "/a/jobs/trackyard-w/slot-3/job");
    }

    #[test]
    fn a_cpu_quota_is_read() {
        let root = tempfile::tempdir().unwrap();
        let mounts = format!("34 33 0:30 / {} rw - cgroup cgroup rw,cpu,memory", root.path().display());
        let worker =
            WorkerCgroup { layout: Layout::parse("4:cpu,memory:/", &mounts).unwrap(), name: String::new() };
        assert_eq!(worker.cpu_quota(), None);
        fs::write(root.path().join("cpu.cfs_period_us"), "100000\n").unwrap();
        fs::write(root.path().join("cpu.cfs_quota_us"), "-1\n").unwrap();
        assert_eq!(worker.cpu_quota(), None, "not limited");
        fs::write(root.path().join("cpu.cfs_quota_us"), "40000\n").unwrap();
        assert_eq!(worker.cpu_quota(), Some(Cpus(400)));
    }

    /// A plain directory stands in for the kernel's: what is written can be read.
    #[test]
    fn version_2_puts_the_worker_in_a_leaf() {
        let root = tempfile::tempdir().unwrap();
        let mounts = format!("34 33 0:30 / {} rw - cgroup2 cgroup2 rw", root.path().display());
        let worker =
            WorkerCgroup { layout: Layout::parse("0::/", &mounts).unwrap(), name: "trackyard-w".to_owned() };
        let controllers = |has: &str| fs::write(root.path().join("cgroup.controllers"), has).unwrap();
        controllers("cpuset memory pids\n");
        let error = worker.enter().unwrap_err().to_string();
        assert!(error.starts_with("the cgroup controller cpu is not there; enable it"), "{error}");
        assert!(!root.path().join("agent").exists(), "refused before anything was changed");
        controllers("cpu memory pids\n");
        worker.enter().unwrap();
        let read = |file: &str| fs::read_to_string(root.path().join(file)).unwrap();
        assert_eq!(read("agent/cgroup.procs"), "0");
        assert_eq!(read("cgroup.subtree_control"), "+memory +pids +cpu");
        assert_eq!(read("jobs/cgroup.subtree_control"), "+memory +pids +cpu");
    }

    #[test]
    fn version_1_paths_are_relative() {
        let layout = Layout::parse("4:memory:/a", "34 33 0:30 / /m rw - cgroup cgroup rw,memory").unwrap();
        let worker = WorkerCgroup { layout, name: "trackyard-w".to_owned() };
        assert_eq!(worker.oci_path(3), "trackyard-w/slot-3/job");
        assert_eq!(
            worker.job_dir(&worker.layout.hierarchies[0], 3),
            Path::new("/m/a/trackyard-w/slot-3/job")
        );
    }
}
