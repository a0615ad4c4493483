//! Room for one job at a time: the container's file systems and limits, and their removal.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, OwnedMutexGuard};
use trackyard_protocol::limits::Limits;
use trackyard_protocol::name::ExerciseSlug;

use super::cgroup::job::JobCgroup;
use super::entry::EntryScript;
use super::error::SandboxError;
use super::host::HostInner;
use super::ids::{IDS_PER_SLOT, IdRange};
use super::mounts::{Mounts, TmpfsOptions, open_dir};
use super::runc::Runc;

/// A job's image, unpacked on this machine.
#[derive(Debug, Clone)]
pub struct Rootfs {
    /// The directories of its layers, the lowest first.
    pub layers: Vec<PathBuf>,
    /// Its environment, as `NAME=value`. Entries of another form are left out.
    pub env: Vec<String>,
}

/// What a job runs.
#[derive(Debug, Clone)]
pub struct RunSpec {
    /// The image's entry script.
    pub entry: EntryScript,
    /// The exercise of the submission.
    pub exercise: ExerciseSlug,
    /// The processor time allowed: [`Limits::cpu_time`], or less.
    pub cpu_time: Duration,
}

/// Room for one job at a time.
#[derive(Debug)]
pub struct Slot(pub(super) Arc<SlotInner>);

/// What a slot keeps from job to job.
#[derive(Debug)]
pub(super) struct SlotInner {
    pub(super) host: Arc<HostInner>,
    pub(super) number: u32,
    pub(super) dir: PathBuf,
    pub(super) ids: IdRange,
    user_namespace: OwnedFd,
    /// Held by a job until its teardown is done, even if its caller has gone away.
    pub(super) busy: Arc<Mutex<()>>,
}

impl Slot {
    pub(crate) fn new(
        host: Arc<HostInner>,
        number: u32,
        dir: PathBuf,
        ids: IdRange,
        user_namespace: OwnedFd,
    ) -> Self {
        Self(Arc::new(SlotInner { host, number, dir, ids, user_namespace, busy: Arc::default() }))
    }

    /// Returns the machine's user ids that belong to this slot alone: a process with one of them belongs to its job.
    #[must_use]
    pub fn owners(&self) -> std::ops::Range<u32> {
        let base = self.0.ids.base;
        base..base.saturating_add(IDS_PER_SLOT)
    }

    /// Makes a job's file systems and cgroup. They are removed when the returned value is dropped.
    ///
    /// # Errors
    /// When one of them cannot be made; nothing is left then.
    pub async fn prepare(
        &mut self,
        rootfs: &Rootfs,
        limits: &Limits,
    ) -> Result<PreparedJob<'_>, SandboxError> {
        let busy = Arc::clone(&self.0.busy).lock_owned().await;
        let started = Instant::now();
        let made = tokio::task::spawn_blocking({
            let slot = Arc::clone(&self.0);
            let layers = rootfs.layers.clone();
            let limits = limits.clone();
            move || JobResources::make(&slot, &layers, &limits, busy)
        });
        let resources = made
            .await
            .map_err(|error| SandboxError::mount("prepare a slot")(std::io::Error::other(error)))??;
        let setup = started.elapsed();
        Ok(PreparedJob { slot: self, resources, env: rootfs.env.clone(), limits: limits.clone(), setup })
    }
}

/// Everything a job has of its own. It goes away in this order: processes, open directory, mounts, cgroup,
/// `runc`'s state.
#[derive(Debug)]
pub(super) struct JobResources {
    pub(super) job_dir: OwnedFd,
    _mounts: Mounts,
    pub(super) cgroup: JobCgroup,
    pub(super) runc: Runc,
    _busy: OwnedMutexGuard<()>,
}

impl Drop for JobResources {
    fn drop(&mut self) {
        if let Err(error) = self.cgroup.kill() {
            tracing::error!(%error, "a job's processes are left behind");
        }
    }
}

impl JobResources {
    fn make(
        slot: &SlotInner,
        layers: &[PathBuf],
        limits: &Limits,
        busy: OwnedMutexGuard<()>,
    ) -> Result<Self, SandboxError> {
        let cgroup = JobCgroup::create(Arc::clone(&slot.host.entered.cgroup), slot.number, limits)?;
        let mut mounts = Mounts::default();
        mounts.tmpfs(&slot.job_dir(), &TmpfsOptions::job_dir(limits, slot.ids.base))?;
        mounts.tmpfs(&slot.tmp(), &TmpfsOptions::tmp(limits, slot.ids.base))?;
        let user_namespace = slot.host.maps_layers.then(|| slot.user_namespace.as_fd());
        mounts.overlay(&slot.rootfs(), layers, &slot.dir.join("mount-points"), user_namespace)?;
        let job_dir = open_dir(&slot.job_dir())?;
        Ok(Self { job_dir, _mounts: mounts, cgroup, runc: slot.runc(), _busy: busy })
    }
}

impl SlotInner {
    pub(super) fn job_dir(&self) -> PathBuf {
        self.dir.join("job")
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    pub(super) fn rootfs(&self) -> PathBuf {
        self.dir.join("rootfs")
    }

    fn runc(&self) -> Runc {
        Runc {
            program: self.host.entered.config.runc.clone(),
            state: self.host.entered.scratch.join("runc"),
            bundle: self.dir.join("bundle"),
            id: format!("slot-{}", self.number),
        }
    }
}

/// A slot that is ready to run one job.
#[derive(Debug)]
pub struct PreparedJob<'slot> {
    pub(super) slot: &'slot mut Slot,
    pub(super) resources: JobResources,
    pub(super) env: Vec<String>,
    pub(super) limits: Limits,
    pub(super) setup: Duration,
}

impl PreparedJob<'_> {
    /// Returns the directory for the submission. Files that the caller writes here are given to the container's root.
    #[must_use]
    pub fn job_dir(&self) -> BorrowedFd<'_> {
        self.resources.job_dir.as_fd()
    }

    /// Returns the path of the same directory, as this process sees it.
    #[must_use]
    pub fn job_dir_path(&self) -> PathBuf {
        self.slot.0.job_dir()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_util::sync::CancellationToken;

    /// A job can be a task of its own. Compiling is the test.
    #[test]
    fn job_futures_are_send() {
        fn assert_send(_: impl Send) {}
        let _check = |slot: &mut Slot, prepared: PreparedJob<'_>, rootfs: &Rootfs, run: &RunSpec| {
            assert_send(slot.prepare(rootfs, &Limits::default()));
            assert_send(prepared.run(run, CancellationToken::new()));
        };
    }
}
