//! What a worker does first, while it has one thread: it makes a mount namespace of its own, becomes the reaper of what
//! its containers leave, moves into its cgroup and starts the guard.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{getpid, set_child_subreaper};
use sha2::{Digest, Sha256};
use trackyard_protocol::name::WorkerName;

use super::cgroup::namespace;
use super::cgroup::worker::WorkerCgroup;
use super::error::SandboxError;
use super::guard::Guard;
use super::lock::Lock;
use super::mounts::{Mounts, TmpfsOptions};
use crate::args::SandboxArgs;
use crate::sys;

/// How long the guard of an earlier worker may take to end that worker's jobs.
const PREDECESSOR_TIMEOUT: Duration = Duration::from_secs(10);
/// Interval at which the earlier worker's lock is tried again.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// What the sandbox needs to know about its worker.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// The work directory, which holds the image layers.
    pub workdir: PathBuf,
    /// The worker's name.
    pub worker: WorkerName,
    /// Maximum number of jobs at one time.
    pub slots: u32,
    /// The path of `runc`.
    pub runc: PathBuf,
    /// Runs jobs even if the owners of an image's files cannot be mapped. Inside, all files then belong to `nobody`.
    pub allow_unmapped_layers: bool,
    /// The directory that all workers of this machine share, for locks and mount points: `/run/trackyard`.
    pub run_dir: PathBuf,
}

/// Proof that this process has entered the sandbox. A [`Host`](super::Host) is made from it.
#[derive(Debug)]
pub struct Entered {
    pub(crate) config: SandboxConfig,
    pub(crate) cgroup: Arc<WorkerCgroup>,
    /// A tmpfs of this process for mount points, bundles and `runc`'s state. It goes away with the process.
    pub(crate) scratch: PathBuf,
    _guard: Guard,
    _scratch_mount: Mounts,
}

/// Makes the work directory and [`enter`]s the sandbox with it, by the options of the command line.
///
/// # Errors
/// When the work directory cannot be made, or as [`enter`].
pub(crate) fn enter_at(
    workdir: &Path,
    worker: WorkerName,
    slots: u32,
    args: &SandboxArgs,
) -> Result<Entered, SandboxError> {
    let made = std::path::absolute(workdir).and_then(|workdir| {
        DirBuilder::new().recursive(true).mode(0o711).create(&workdir)?;
        Ok(workdir)
    });
    let workdir =
        made.map_err(SandboxError::mount(format!("make the work directory {}", workdir.display())))?;
    let SandboxArgs { runc, run_dir, allow_unmapped_layers } = args.clone();
    enter(SandboxConfig { workdir, worker, slots, runc, allow_unmapped_layers, run_dir })
}

/// Makes this process able to run containers, and removes what an earlier worker of the same name and directory left.
/// `main` calls it before it starts a thread.
///
/// # Errors
/// When the machine or the process's rights do not allow it. The text says what to do.
pub fn enter(config: SandboxConfig) -> Result<Entered, SandboxError> {
    if !rustix::process::geteuid().is_root() {
        return Err(SandboxError::host(
            "the worker is not root",
            "run it as root, or in a privileged container",
        ));
    }
    let name = group_name(&config)?;
    let lock = lock(&config.run_dir, &name)?;
    sys::unshare_mounts().map_err(SandboxError::mount("make a mount namespace"))?;
    // Mounts made here stay here. A file system that the machine unmounts is unmounted here too.
    let propagation = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", propagation)
        .map_err(|error| SandboxError::mount("make mounts private")(error.into()))?;
    let (scratch, scratch_mount) = mount_scratch(&config.run_dir)?;
    set_child_subreaper(Some(getpid()))
        .map_err(|error| SandboxError::launch("become a subreaper")(error.into()))?;
    namespace::hide_foreign_cgroups()?;
    let cgroup = WorkerCgroup::find(&name)?;
    cgroup.enter()?;
    cgroup.sweep()?;
    let guard = Guard::start(&cgroup, lock)?;
    Ok(Entered { config, cgroup: Arc::new(cgroup), scratch, _guard: guard, _scratch_mount: scratch_mount })
}

/// Returns the name of the worker's cgroup, unique for each worker name and directory on the machine.
fn group_name(config: &SandboxConfig) -> Result<String, SandboxError> {
    let dir = fs::canonicalize(&config.workdir)
        .map_err(SandboxError::mount(format!("find the work directory {}", config.workdir.display())))?;
    let digest = Sha256::digest(dir.as_os_str().as_encoded_bytes());
    let hash: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("trackyard-{}-{hash}", config.worker))
}

/// Locks the worker's name and directory. The guard holds the lock too, so that a new worker does not start while an
/// earlier one's jobs run.
fn lock(run_dir: &Path, name: &str) -> Result<Lock, SandboxError> {
    let failed = || SandboxError::launch(format!("lock {name} in {}", run_dir.display()));
    make_dir(run_dir).and_then(|()| make_dir(&run_dir.join("workers"))).map_err(failed())?;
    let deadline = Instant::now() + PREDECESSOR_TIMEOUT;
    loop {
        match Lock::take(&run_dir.join("workers").join(name)).map_err(failed())? {
            Some(lock) => return Ok(lock),
            None if Instant::now() < deadline => std::thread::sleep(LOCK_RETRY_INTERVAL),
            None => {
                return Err(SandboxError::host(
                    "another worker has this name and this directory",
                    "give each worker a directory of its own",
                ));
            }
        }
    }
}

fn mount_scratch(run_dir: &Path) -> Result<(PathBuf, Mounts), SandboxError> {
    let scratch = run_dir.join("mnt");
    make_dir(&scratch).map_err(SandboxError::mount(format!("make {}", scratch.display())))?;
    let mut mounts = Mounts::default();
    mounts.tmpfs(&scratch, &TmpfsOptions::scratch())?;
    Ok((scratch, mounts))
}

/// Makes a directory that everybody may pass through and only root may list: on the machine a container's root is an
/// unprivileged user.
pub(super) fn make_dir(dir: &Path) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o711))
}
