//! What a worker does first, while it has one thread: a mount namespace of its own, the reaping of what its
//! containers leave, its place in the control groups, and the guard.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{getpid, set_child_subreaper};
use sha2::{Digest, Sha256};
use trackyard_protocol::name::WorkerName;

use super::cgroup::root;
use super::cgroup::tree::Tree;
use super::error::Error;
use super::guard::Guard;
use super::lock::Lock;
use super::mounts::{Mounts, Size};
use crate::sys;

/// How long the guard of an earlier worker may take to end that worker's jobs.
const EARLIER_DEADLINE: Duration = Duration::from_secs(10);

/// What the sandbox needs to know of its worker.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// The worker's directory; the image layers are in it.
    pub workdir: PathBuf,
    /// The worker's name.
    pub worker: WorkerName,
    /// Jobs at one time.
    pub slots: u32,
    /// Where `runc` is.
    pub runc: PathBuf,
    /// Run although the owners of an image's files cannot be mapped: inside they are then all `nobody`'s.
    pub allow_unmapped_layers: bool,
    /// The directory that all workers of this machine share, for locks and mount points: `/run/trackyard`.
    pub run_dir: PathBuf,
}

/// A process that has entered; the way to a [`Host`](super::Host).
#[derive(Debug)]
pub struct Entered {
    pub(crate) config: SandboxConfig,
    pub(crate) tree: Arc<Tree>,
    /// A file system of this process's own: mount points, bundles, `runc`'s state. It is gone when the process is.
    pub(crate) bench: PathBuf,
    _guard: Guard,
    _bench: Mounts,
}

/// Makes this process one that can run containers, and removes what an earlier worker of the same name and directory
/// left. `main` calls it before it starts a thread.
///
/// # Errors
/// Where the machine or the rights do not allow it; the text says what to do.
pub fn enter(config: SandboxConfig) -> Result<Entered, Error> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::host("the worker is not root", "run it as root, or in a privileged container"));
    }
    let name = group_name(&config)?;
    let lock = lock(&config.run_dir, &name)?;
    sys::unshare_mounts().map_err(Error::mount("make a mount namespace"))?;
    // What is mounted here stays here; what the machine unmounts goes here too.
    let propagation = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", propagation).map_err(|error| Error::mount("make mounts private")(error.into()))?;
    let (bench, mounts) = make_bench(&config.run_dir)?;
    set_child_subreaper(Some(getpid())).map_err(|error| Error::launch("become a subreaper")(error.into()))?;
    root::make_own_group_the_root()?;
    let tree = Tree::find(&name)?;
    tree.enter()?;
    tree.sweep()?;
    let guard = Guard::start(&tree, lock)?;
    Ok(Entered { config, tree: Arc::new(tree), bench, _guard: guard, _bench: mounts })
}

/// One per worker name and directory on the machine.
fn group_name(config: &SandboxConfig) -> Result<String, Error> {
    let dir = fs::canonicalize(&config.workdir)
        .map_err(Error::mount(format!("find the work directory {}", config.workdir.display())))?;
    let digest = Sha256::digest(dir.as_os_str().as_encoded_bytes());
    let hash: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("trackyard-{}-{hash}", config.worker))
}

/// Held by the guard too, so that a new worker does not start over an earlier one's jobs.
fn lock(run_dir: &Path, name: &str) -> Result<Lock, Error> {
    let fault = || Error::launch(format!("lock {name} in {}", run_dir.display()));
    make_dir(run_dir).and_then(|()| make_dir(&run_dir.join("workers"))).map_err(fault())?;
    let deadline = Instant::now() + EARLIER_DEADLINE;
    loop {
        match Lock::take(&run_dir.join("workers").join(name)).map_err(fault())? {
            Some(lock) => return Ok(lock),
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            None => {
                return Err(Error::host(
                    "another worker has this name and this directory",
                    "give each worker a directory of its own",
                ));
            }
        }
    }
}

fn make_bench(run_dir: &Path) -> Result<(PathBuf, Mounts), Error> {
    let bench = run_dir.join("mnt");
    make_dir(&bench).map_err(Error::mount(format!("make {}", bench.display())))?;
    let mut mounts = Mounts::default();
    mounts.tmpfs(&bench, &Size::workbench())?;
    Ok((bench, mounts))
}

/// A directory that may be passed through by all, listed by root only: a container's root is nobody outside.
pub(super) fn make_dir(dir: &Path) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o711))
}
