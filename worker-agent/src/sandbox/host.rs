//! What this machine can enforce, found once at the start. What it cannot makes it unfit, never unlimited.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use trackyard_protocol::channel::Channel;
use trackyard_protocol::limits::Limits;

use super::cgroup::group::{JobGroup, missing};
use super::cgroup::writes::NEEDED;
use super::enter::{Entered, make_dir};
use super::entry::Entry;
use super::error::Error;
use super::ids::{COUNT, IdRange};
use super::mounts::{Mounts, open_dir};
use super::runc;
use super::slot::Slot;
use crate::sys;

/// A slot number that no job has, to try control groups with.
const PROBE: u32 = u32::MAX;
/// What is on top of every image: directories to mount on, whatever the image has there.
const SKELETON: [&str; 6] = ["proc", "sys", "dev", "tmp", "mnt", "mnt/exercism-iteration"];

/// A machine that can run jobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Host(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) entered: Entered,
    pub(crate) maps_layers: bool,
    runc_version: String,
    probes: AtomicU64,
}

/// One thing that a machine must be able to do.
#[derive(Debug)]
pub struct Check {
    /// What was tried.
    pub name: &'static str,
    /// What was found, or why not and what to do.
    pub found: Result<String, Error>,
}

impl Host {
    /// Finds out what this machine can do.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn detect(entered: Entered) -> Result<Self, Error> {
        let runc_version = runc::version(&entered.config.runc)?;
        for check in Self::checks(&entered) {
            check.found?;
        }
        let maps_layers = can_map(&entered).is_ok();
        Ok(Self(Arc::new(Inner { entered, maps_layers, runc_version, probes: AtomicU64::new(0) })))
    }

    /// Every check with what was found, for `doctor`.
    #[must_use]
    pub fn checks(entered: &Entered) -> Vec<Check> {
        vec![
            Check { name: "runc", found: runc::version(&entered.config.runc) },
            Check { name: "control groups", found: control_groups(entered) },
            Check { name: "swap", found: swap(entered) },
            Check { name: "way to the mount points", found: passable(&entered.bench) },
            Check { name: "user namespaces", found: user_namespaces() },
            Check { name: "id-mapped layers", found: mapped_layers(entered) },
        ]
    }

    /// The version of `runc`.
    #[must_use]
    pub fn runc_version(&self) -> &str {
        &self.0.runc_version
    }

    /// True if an image's files have their owners inside, false if all are `nobody`'s.
    #[must_use]
    pub fn maps_layers(&self) -> bool {
        self.0.maps_layers
    }

    /// As many slots as the configuration says, each with a range of user ids that no other slot of the machine has.
    ///
    /// # Errors
    /// When no range is free or a directory cannot be made.
    pub fn slots(&self) -> Result<Vec<Slot>, Error> {
        IdRange::sweep(&self.0.entered.config.run_dir.join("ids"));
        (0..self.0.entered.config.slots).map(|number| self.slot(number)).collect()
    }

    fn slot(&self, number: u32) -> Result<Slot, Error> {
        let config = &self.0.entered.config;
        let ids = IdRange::claim(&config.run_dir.join("ids"))?;
        let user_namespace =
            sys::user_namespace(ids.base, COUNT).map_err(Error::launch("make a user namespace"))?;
        let dir = self.0.entered.bench.join(format!("slot-{number}"));
        make_dir(&dir)
            .and_then(|()| make_skeleton(&dir.join("skeleton"), ids.base))
            .map_err(Error::mount(format!("make {}", dir.display())))?;
        Ok(Slot::new(Arc::clone(&self.0), number, dir, ids, user_namespace))
    }

    /// The entry script of an image with these layers, the lowest first; none if it has none for the channel.
    ///
    /// # Errors
    /// When the layers cannot be mounted.
    pub fn find_entry(&self, layers: &[PathBuf], channel: Channel) -> Result<Option<Entry>, Error> {
        let number = self.0.probes.fetch_add(1, Ordering::Relaxed);
        let probe = Probe::make(&self.0.entered.bench.join(format!("probe-{number}")))?;
        let mut mounts = Mounts::default();
        mounts.overlay(&probe.rootfs(), layers, &probe.skeleton(), None)?;
        let root = open_dir(&probe.rootfs())?;
        let runnable =
            |entry: &Entry| is_program(&root, &format!("{}/{}", entry.working_dir(), entry.script()));
        Ok(Entry::candidates(channel).find(runnable))
    }
}

/// A place to mount an image for a look at it.
struct Probe(PathBuf);

impl Probe {
    fn make(dir: &Path) -> Result<Self, Error> {
        let probe = Self(dir.to_owned());
        make_dir(dir)
            .and_then(|()| make_skeleton(&probe.skeleton(), 0))
            .map_err(Error::mount(format!("make {}", dir.display())))?;
        Ok(probe)
    }

    fn rootfs(&self) -> PathBuf {
        self.0.join("rootfs")
    }

    fn skeleton(&self) -> PathBuf {
        self.0.join("skeleton")
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn make_skeleton(dir: &Path, owner: u32) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    for path in std::iter::once(dir.to_owned()).chain(SKELETON.iter().map(|name| dir.join(name))) {
        fs::create_dir_all(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        chown(&path, Some(owner), Some(owner))?;
    }
    Ok(())
}

/// True for an executable regular file, found as the container would find it.
fn is_program(root: &OwnedFd, path: &str) -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let Ok(file) = openat2(root, path.trim_start_matches('/'), flags, Mode::empty(), resolve) else {
        return false;
    };
    fs::File::from(file).metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

fn control_groups(entered: &Entered) -> Result<String, Error> {
    let layout = &entered.tree.layout;
    if let Some(controller) = NEEDED.iter().find(|controller| layout.with(controller).is_none()) {
        return Err(missing(controller));
    }
    drop(JobGroup::create(Arc::clone(&entered.tree), PROBE, &Limits::default())?);
    Ok(format!("{:?}, {} hierarchies, every limit reads back", layout.version, layout.hierarchies.len()))
}

fn swap(entered: &Entered) -> Result<String, Error> {
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    if swaps.lines().count() <= 1 {
        return Ok("there is none".to_owned());
    }
    if JobGroup::create(Arc::clone(&entered.tree), PROBE, &Limits::default())?.limits_swap() {
        return Ok("limited".to_owned());
    }
    Err(Error::host(
        "the kernel does not limit swap",
        "switch swap off (swapoff -a), or boot with swapaccount=1",
    ))
}

fn passable(bench: &Path) -> Result<String, Error> {
    let closed = bench
        .ancestors()
        .find(|dir| fs::metadata(dir).map_or(true, |metadata| metadata.permissions().mode() & 0o001 == 0));
    match closed {
        None => Ok("open".to_owned()),
        Some(dir) => Err(Error::host(
            format!("a container's root may not pass through {}", dir.display()),
            "choose another run directory, or chmod o+x this one",
        )),
    }
}

fn user_namespaces() -> Result<String, Error> {
    sys::user_namespace(1 << 20, COUNT).map(|_| "can be made".to_owned()).map_err(|error| {
        Error::host(
            format!("user namespaces cannot be made ({error})"),
            "allow them (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns)",
        )
    })
}

fn mapped_layers(entered: &Entered) -> Result<String, Error> {
    match can_map(entered) {
        Ok(()) => Ok("possible".to_owned()),
        Err(error) if entered.config.allow_unmapped_layers => {
            Ok(format!("not possible ({error}), and the configuration allows to run without"))
        }
        Err(error) => Err(Error::host(
            format!("the owners of an image's files cannot be mapped ({error})"),
            "put the work directory on ext4, xfs or btrfs with Linux 5.19 or newer, or allow unmapped layers",
        )),
    }
}

/// Mounts the work directory as if it were a layer.
fn can_map(entered: &Entered) -> Result<(), Error> {
    let user_namespace =
        sys::user_namespace(1 << 20, COUNT).map_err(Error::launch("make a user namespace"))?;
    let probe = Probe::make(&entered.bench.join("probe-map"))?;
    let layers = std::slice::from_ref(&entered.config.workdir);
    Mounts::default().overlay(&probe.rootfs(), layers, &probe.skeleton(), Some(user_namespace.as_fd()))
}
