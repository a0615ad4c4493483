//! The worker's part of the control group tree: `<own>/trackyard-<worker>-<hash>/slot-N/job`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use rustix::process::{Pid, Signal, kill_process};
use trackyard_protocol::quantity::Cpus;

use super::group::missing;
use super::layout::{AGENT, Hierarchy, Layout, Version};
use crate::sandbox::error::Error;

/// How long killed processes may take to be gone.
const KILL_DEADLINE: Duration = Duration::from_secs(5);
/// How long it may take to move what the worker's group holds; new processes may come meanwhile.
const MOVE_DEADLINE: Duration = Duration::from_secs(5);
/// Beside the leaf that the worker is in, on version 2.
const JOBS: &str = "jobs";
const V2_CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

/// The worker's own part of each hierarchy.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(crate) layout: Layout,
    pub(super) name: String,
}

impl Tree {
    /// The tree of the worker called `name`; nothing is made yet.
    pub(crate) fn find(name: &str) -> Result<Self, Error> {
        Ok(Self { layout: Layout::read()?, name: name.to_owned() })
    }

    /// The processors that this worker has as a whole, where that is limited. Version 1 refuses a group below that may
    /// use more.
    pub(super) fn processors(&self) -> Option<Cpus> {
        let hierarchy = self.layout.with("cpu").filter(|_| self.layout.version == Version::V1)?;
        let number =
            |file: &str| fs::read_to_string(hierarchy.own.join(file)).ok()?.trim().parse::<u64>().ok();
        let quota = number("cpu.cfs_quota_us")?.checked_mul(1000)?;
        u32::try_from(quota / number("cpu.cfs_period_us")?.max(1)).ok().map(Cpus)
    }

    /// Moves this process where its jobs can have limits: on version 2 into a leaf of its own.
    pub(crate) fn enter(&self) -> Result<(), Error> {
        let (Version::V2, Some(hierarchy)) = (self.layout.version, self.layout.hierarchies.first()) else {
            return Ok(());
        };
        let own = &hierarchy.own;
        require_controllers(own)?;
        let agent = own.join(AGENT);
        make(&agent)?;
        write(&agent.join("cgroup.procs"), "0")?;
        delegate_from(own, &agent)?;
        make(&own.join(JOBS))?;
        delegate(&own.join(JOBS))
    }

    /// The worker's directory in a hierarchy.
    fn top(&self, hierarchy: &Hierarchy) -> PathBuf {
        match self.layout.version {
            Version::V1 => hierarchy.own.join(&self.name),
            Version::V2 => hierarchy.own.join(JOBS).join(&self.name),
        }
    }

    /// The directory of a slot's job in a hierarchy.
    pub(crate) fn job(&self, hierarchy: &Hierarchy, slot: u32) -> PathBuf {
        self.top(hierarchy).join(format!("slot-{slot}")).join("job")
    }

    /// The group of a slot's job as `runc` wants it named: relative to its own on version 1 (where each hierarchy
    /// has another own group), from the mount's top on version 2.
    pub(crate) fn oci_path(&self, slot: u32) -> String {
        let relative = format!("{}/slot-{slot}/job", self.name);
        match (self.layout.version, self.layout.hierarchies.first()) {
            (Version::V2, Some(hierarchy)) => {
                let job = self.job(hierarchy, slot);
                let path = job.strip_prefix(&hierarchy.mount_point).unwrap_or(&job);
                format!("/{}", path.display())
            }
            _ => relative,
        }
    }

    /// Makes a slot's group in one hierarchy, with its parents.
    pub(crate) fn make_job(&self, hierarchy: &Hierarchy, slot: u32) -> Result<PathBuf, Error> {
        let job = self.job(hierarchy, slot);
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

    /// Kills whatever runs in any slot and removes all groups. For the start, the end and the guard.
    pub(crate) fn sweep(&self) -> Result<(), Error> {
        let tops: Vec<PathBuf> = self.layout.hierarchies.iter().map(|h| self.top(h)).collect();
        let remove =
            |top: &PathBuf| remove_tree(top).map_err(Error::cgroup(format!("remove {}", top.display())));
        // One that cannot be removed keeps no other.
        let removed: Vec<Result<(), Error>> = tops.iter().filter(|top| top.exists()).map(remove).collect();
        removed.into_iter().collect()
    }
}

/// On version 1 a new group may use no processor and no memory node until it is told which.
fn inherit_cpuset(dir: &Path) -> Result<(), Error> {
    let Some(parent) = dir.parent() else { return Ok(()) };
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let above = parent.join(file);
        let value = fs::read_to_string(&above).map_err(Error::cgroup(format!("read {}", above.display())))?;
        write(&dir.join(file), value.trim())?;
    }
    Ok(())
}

/// Refuses a group that may not limit what jobs must be limited in.
fn require_controllers(own: &Path) -> Result<(), Error> {
    let file = own.join("cgroup.controllers");
    let has = fs::read_to_string(&file).map_err(Error::cgroup(format!("read {}", file.display())))?;
    let lacks = |controller: &&str| !has.split_whitespace().any(|has| has == *controller);
    V2_CONTROLLERS.into_iter().find(lacks).map_or(Ok(()), |controller| Err(missing(controller)))
}

/// Lets groups below have limits, version 2.
fn delegate(dir: &Path) -> Result<(), Error> {
    write(&dir.join("cgroup.subtree_control"), &V2_CONTROLLERS.map(|name| format!("+{name}")).join(" "))
}

/// As [`delegate`], of a group that this process was in. What else is in it, such as the shell that the worker was
/// started from, goes into the leaf too: it stays within the same group's limits.
fn delegate_from(own: &Path, leaf: &Path) -> Result<(), Error> {
    let deadline = Instant::now() + MOVE_DEADLINE;
    loop {
        match delegate(own) {
            Err(Error::Cgroup { source, .. })
                if source.kind() == io::ErrorKind::ResourceBusy && Instant::now() < deadline =>
            {
                for pid in processes(own) {
                    // It may have ended meanwhile; what cannot be moved is met again above.
                    let _ = fs::write(leaf.join("cgroup.procs"), pid.as_raw_nonzero().to_string());
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(Error::Cgroup { what, source }) => {
                return Err(Error::host(
                    format!(
                        "this worker's control group cannot have limited groups below it (cannot {what}: {source})"
                    ),
                    "start the worker in a group of its own: systemd-run --scope -p Delegate=yes, or Delegate=yes in its unit",
                ));
            }
            done => return done,
        }
    }
}

fn make(dir: &Path) -> Result<(), Error> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::cgroup(format!("make {}", dir.display()))(error))
        }
        _ => Ok(()),
    }
}

pub(super) fn write(file: &Path, value: &str) -> Result<(), Error> {
    fs::write(file, value).map_err(Error::cgroup(format!("write {value} to {}", file.display())))
}

/// Removes a group with all below it; one that cannot be removed keeps no other. What is gone already is no error.
fn remove_tree(dir: &Path) -> io::Result<()> {
    let remove = |group: &PathBuf| {
        kill(group);
        await_empty(group)?;
        remove(group)
    };
    let removed: Vec<io::Result<()>> = with_groups_below(dir).iter().map(remove).collect();
    removed.into_iter().collect()
}

/// A group and all groups below it, the deepest first.
pub(super) fn with_groups_below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut all: Vec<PathBuf> = groups.flat_map(|entry| with_groups_below(&entry.path())).collect();
    all.push(dir.to_owned());
    all
}

/// Sends KILL to all in one group, and says to whom.
pub(super) fn kill(dir: &Path) -> Vec<Pid> {
    let found = processes(dir);
    // Absent on version 1, where killing each is enough: the first process of a container takes all others along.
    let file = fs::OpenOptions::new().write(true).open(dir.join("cgroup.kill"));
    let _ = file.and_then(|mut file| file.write_all(b"1"));
    for pid in &found {
        let _ = kill_process(*pid, Signal::KILL);
    }
    found
}

/// Waits until killed processes are gone, killing those that came meanwhile.
pub(super) fn await_empty(dir: &Path) -> io::Result<()> {
    let deadline = Instant::now() + KILL_DEADLINE;
    while !processes(dir).is_empty() {
        if Instant::now() > deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "killed processes do not end"));
        }
        std::thread::sleep(Duration::from_millis(1));
        kill(dir);
    }
    Ok(())
}

/// Removes an empty group; the kernel may hold on to it for a moment after its last process.
pub(super) fn remove(dir: &Path) -> io::Result<()> {
    let deadline = Instant::now() + KILL_DEADLINE;
    loop {
        match fs::remove_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(1));
            }
            other => return other,
        }
    }
}

fn processes(dir: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).filter_map(Pid::from_raw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_version_2_are_from_the_mount_and_beside_the_agent() {
        let layout =
            Layout::parse("0::/a/agent", "34 33 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw").unwrap();
        let tree = Tree { layout, name: "trackyard-w".to_owned() };
        assert_eq!(tree.oci_path(3), "/a/jobs/trackyard-w/slot-3/job");
    }

    #[test]
    fn a_limited_worker_knows_its_processors() {
        let root = tempfile::tempdir().unwrap();
        let mounts = format!("34 33 0:30 / {} rw - cgroup cgroup rw,cpu,memory", root.path().display());
        let tree = Tree { layout: Layout::parse("4:cpu,memory:/", &mounts).unwrap(), name: String::new() };
        assert_eq!(tree.processors(), None);
        fs::write(root.path().join("cpu.cfs_period_us"), "100000\n").unwrap();
        fs::write(root.path().join("cpu.cfs_quota_us"), "-1\n").unwrap();
        assert_eq!(tree.processors(), None, "not limited");
        fs::write(root.path().join("cpu.cfs_quota_us"), "40000\n").unwrap();
        assert_eq!(tree.processors(), Some(Cpus(400)));
    }

    /// A plain directory instead of the kernel's: what is written stays to be read.
    #[test]
    fn on_version_2_the_worker_is_in_a_leaf_and_all_it_needs_is_delegated() {
        let root = tempfile::tempdir().unwrap();
        let mounts = format!("34 33 0:30 / {} rw - cgroup2 cgroup2 rw", root.path().display());
        let tree = Tree { layout: Layout::parse("0::/", &mounts).unwrap(), name: "trackyard-w".to_owned() };
        let controllers = |has: &str| fs::write(root.path().join("cgroup.controllers"), has).unwrap();
        controllers("cpuset memory pids\n");
        let error = tree.enter().unwrap_err().to_string();
        assert!(error.starts_with("the control group controller cpu is not there; enable it"), "{error}");
        assert!(!root.path().join("agent").exists(), "refused before anything was changed");
        controllers("cpu memory pids\n");
        tree.enter().unwrap();
        let read = |file: &str| fs::read_to_string(root.path().join(file)).unwrap();
        assert_eq!(read("agent/cgroup.procs"), "0");
        assert_eq!(read("cgroup.subtree_control"), "+memory +pids +cpu");
        assert_eq!(read("jobs/cgroup.subtree_control"), "+memory +pids +cpu");
    }

    #[test]
    fn a_group_that_cannot_be_removed_keeps_no_other() {
        let root = tempfile::tempdir().unwrap();
        let slots = root.path().join("trackyard-w");
        fs::create_dir_all(slots.join("slot-0/job")).unwrap();
        fs::create_dir_all(slots.join("slot-1/job")).unwrap();
        // Not a group of the kernel's: a file keeps the directory.
        fs::write(slots.join("slot-0/job/file"), "").unwrap();
        assert!(remove_tree(&slots).is_err());
        assert!(slots.join("slot-0/job").exists() && !slots.join("slot-1").exists());
        assert!(remove_tree(&root.path().join("gone")).is_ok());
    }

    #[test]
    fn names_on_version_1_are_relative() {
        let layout = Layout::parse("4:memory:/a", "34 33 0:30 / /m rw - cgroup cgroup rw,memory").unwrap();
        let tree = Tree { layout, name: "trackyard-w".to_owned() };
        assert_eq!(tree.oci_path(3), "trackyard-w/slot-3/job");
        assert_eq!(tree.job(&tree.layout.hierarchies[0], 3), Path::new("/m/a/trackyard-w/slot-3/job"));
    }
}
