//! One job's control group, fresh for each job.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, waitpid};
use trackyard_protocol::limits::Limits;

use super::layout::Version;
use super::tree::{self, Tree};
use super::usage::{self, Counters};
use super::writes::{NEEDED, Write, writes};
use crate::sandbox::error::Error;

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
        for write in writes(group.version(), limits, page) {
            group.apply(&write)?;
        }
        Ok(group)
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

    fn folders(&self) -> Vec<PathBuf> {
        let job = |hierarchy| self.tree.job(hierarchy, self.slot);
        self.tree.layout.hierarchies.iter().map(job).filter(|folder| folder.exists()).collect()
    }

    /// Kills all of the job and waits until it is gone.
    pub(crate) fn kill(&self) -> Result<(), Error> {
        let folders = self.folders();
        let killed: Vec<Pid> = folders.iter().flat_map(|folder| tree::kill(folder)).collect();
        let empty = |folder: &PathBuf| tree::await_empty(folder);
        folders.iter().try_for_each(empty).map_err(Error::cgroup("end a job's processes"))?;
        // What runc left when it was killed itself came to this process as a child.
        for pid in killed {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
        Ok(())
    }

    fn remove(&self) -> Result<(), Error> {
        self.kill()?;
        let remove = |folder: &PathBuf| tree::remove(folder);
        self.folders().iter().try_for_each(remove).map_err(Error::cgroup("remove a job's group"))
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
