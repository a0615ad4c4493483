//! Room for one job at a time: its container's file systems and limits, the run, and what remains.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::name::ExerciseSlug;

use super::cgroup::group::JobGroup;
use super::entry::Entry;
use super::error::Error;
use super::host::Inner;
use super::ids::IdRange;
use super::mounts::{Mounts, Size, open_dir};
use super::outcome::Outcome;
use super::run;
use super::runc::Runtime;

/// A job's image, ready on this machine.
#[derive(Debug, Clone)]
pub struct Rootfs {
    /// The directories of its layers, the lowest first.
    pub layers: Vec<PathBuf>,
    /// Its environment, as `NAME=value`; what is not of that form is left out.
    pub env: Vec<String>,
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Run {
    /// The image's entry script.
    pub entry: Entry,
    /// The exercise of the submission.
    pub exercise: ExerciseSlug,
    /// The processor time allowed: [`Limits::cpu_time`], or less.
    pub cpu_time: Duration,
}

/// Room for one job at a time.
#[derive(Debug)]
pub struct Slot(pub(super) Arc<Place>);

/// What stays of a slot from job to job.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) host: Arc<Inner>,
    pub(super) number: u32,
    pub(super) dir: PathBuf,
    pub(super) ids: IdRange,
    user_namespace: OwnedFd,
    /// Held by a job until its teardown is done, even where its caller has gone away.
    pub(super) busy: Arc<Mutex<()>>,
}

impl Slot {
    pub(crate) fn new(
        host: Arc<Inner>,
        number: u32,
        dir: PathBuf,
        ids: IdRange,
        user_namespace: OwnedFd,
    ) -> Self {
        Self(Arc::new(Place { host, number, dir, ids, user_namespace, busy: Arc::default() }))
    }

    /// The machine's user ids that belong to this slot alone: what runs as one of them is its job.
    #[must_use]
    pub fn owners(&self) -> std::ops::Range<u32> {
        let base = self.0.ids.base;
        base..base.saturating_add(super::ids::COUNT)
    }

    /// Makes a job's file systems and control group. What was made goes away when the returned value does.
    ///
    /// # Errors
    /// When one of them cannot be made; nothing is left then.
    pub async fn prepare(&mut self, rootfs: &Rootfs, limits: &Limits) -> Result<Prepared<'_>, Error> {
        let busy = Arc::clone(&self.0.busy).lock_owned().await;
        let (place, layers, limits_) = (Arc::clone(&self.0), rootfs.layers.clone(), limits.clone());
        let begun = Instant::now();
        let made =
            tokio::task::spawn_blocking(move || Workspace::make(&place, &layers, &limits_, busy)).await;
        let workspace =
            made.map_err(|error| Error::mount("prepare a slot")(std::io::Error::other(error)))??;
        let setup = begun.elapsed();
        Ok(Prepared { slot: self, workspace, env: rootfs.env.clone(), limits: limits.clone(), setup })
    }
}

/// What a job has of its own. Its end, in this order: processes, open directory, mounts, control group, `runc`'s state.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) job_dir: OwnedFd,
    _mounts: Mounts,
    pub(super) group: JobGroup,
    pub(super) runtime: Runtime,
    _busy: OwnedMutexGuard<()>,
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Err(error) = self.group.kill() {
            tracing::error!(%error, "a job's processes are left behind");
        }
    }
}

impl Workspace {
    fn make(
        place: &Place,
        layers: &[PathBuf],
        limits: &Limits,
        busy: OwnedMutexGuard<()>,
    ) -> Result<Self, Error> {
        let group = JobGroup::create(Arc::clone(&place.host.entered.tree), place.number, limits)?;
        let mut mounts = Mounts::default();
        mounts.tmpfs(&place.job_dir(), &Size::job_dir(limits, place.ids.base))?;
        mounts.tmpfs(&place.tmp(), &Size::tmp(limits, place.ids.base))?;
        let user_namespace = place.host.maps_layers.then(|| place.user_namespace.as_fd());
        mounts.overlay(&place.rootfs(), layers, &place.dir.join("skeleton"), user_namespace)?;
        let job_dir = open_dir(&place.job_dir())?;
        Ok(Self { job_dir, _mounts: mounts, group, runtime: place.runtime(), _busy: busy })
    }
}

impl Place {
    pub(super) fn job_dir(&self) -> PathBuf {
        self.dir.join("job")
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    fn runtime(&self) -> Runtime {
        Runtime {
            runc: self.host.entered.config.runc.clone(),
            state: self.host.entered.bench.join("runc"),
            bundle: self.dir.join("bundle"),
            id: format!("slot-{}", self.number),
        }
    }

    pub(super) fn rootfs(&self) -> PathBuf {
        self.dir.join("rootfs")
    }
}

/// A slot that is ready to run one job.
#[derive(Debug)]
pub struct Prepared<'slot> {
    slot: &'slot mut Slot,
    pub(super) workspace: Workspace,
    pub(super) env: Vec<String>,
    pub(super) limits: Limits,
    pub(super) setup: Duration,
}

impl Prepared<'_> {
    /// The directory for the submission. What the caller writes here, as itself, is given to the container's root.
    #[must_use]
    pub fn job_dir(&self) -> BorrowedFd<'_> {
        self.workspace.job_dir.as_fd()
    }

    /// The same directory by path, as this process sees it.
    #[must_use]
    pub fn job_dir_path(&self) -> PathBuf {
        self.slot.0.job_dir()
    }

    /// Runs the job to its end, or until `cancel`, and removes all that it had. A job whose caller goes away
    /// (drops this future) is killed and removed too.
    pub async fn run(self, run: &Run, cancel: CancellationToken) -> Outcome {
        let place = Arc::clone(&self.slot.0);
        run::run(self, &place, run, &cancel).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compiles only if a job can be a task of its own.
    fn _runs_as_a_task(slot: &mut Slot, prepared: Prepared<'_>, rootfs: &Rootfs, run: &Run) {
        fn is_send(_: impl Send) {}
        is_send(slot.prepare(rootfs, &Limits::default()));
        is_send(prepared.run(run, CancellationToken::new()));
    }
}
