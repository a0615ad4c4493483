//! Finds out at the start what this machine can enforce. A machine that cannot enforce a limit runs no jobs: a limit is
//! never left out.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use trackyard_protocol::channel::Channel;
use trackyard_protocol::limits::Limits;

use super::cgroup::job::JobCgroup;
use super::cgroup::settings::REQUIRED_CONTROLLERS;
use super::enter::{Entered, make_dir};
use super::entry::EntryScript;
use super::error::SandboxError;
use super::ids::{IDS_PER_SLOT, IdRange};
use super::mounts::{Mounts, open_dir};
use super::runc;
use super::slot::Slot;
use crate::sys;

/// A slot number that no job has, for trying out cgroups.
const PROBE_SLOT: u32 = u32::MAX;
/// The directories on top of every image that are mounted on, whatever the image has there.
const MOUNT_POINTS: [&str; 6] = ["proc", "sys", "dev", "tmp", "mnt", "mnt/exercism-iteration"];

/// A machine that can run jobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Host(Arc<HostInner>);

#[derive(Debug)]
pub(crate) struct HostInner {
    pub(crate) entered: Entered,
    pub(crate) maps_layers: bool,
    runc_version: String,
    probes: AtomicU64,
}

/// A check of something that the machine must be able to do.
#[derive(Debug)]
pub struct HostCheck {
    /// What was checked.
    pub name: &'static str,
    /// What was found, or what is missing and what to do about it.
    pub result: Result<String, SandboxError>,
}

impl Host {
    /// Finds out what this machine can do.
    ///
    /// # Errors
    /// The error of the first check that fails.
    pub fn detect(entered: Entered) -> Result<Self, SandboxError> {
        let runc_version = runc::version(&entered.config.runc)?;
        for check in Self::checks(&entered) {
            check.result?;
        }
        let maps_layers = try_mapping(&entered).is_ok();
        Ok(Self(Arc::new(HostInner { entered, maps_layers, runc_version, probes: AtomicU64::new(0) })))
    }

    /// Runs all checks, for `doctor`.
    #[must_use]
    pub fn checks(entered: &Entered) -> Vec<HostCheck> {
        vec![
            HostCheck { name: "runc", result: runc::version(&entered.config.runc) },
            HostCheck { name: "cgroups", result: control_groups(entered) },
            HostCheck { name: "swap", result: swap(entered) },
            HostCheck { name: "mount points", result: mount_points(&entered.scratch) },
            HostCheck { name: "user namespaces", result: user_namespaces() },
            HostCheck { name: "id-mapped layers", result: mapped_layers(entered) },
        ]
    }

    /// Returns the version of `runc`.
    #[must_use]
    pub fn runc_version(&self) -> &str {
        &self.0.runc_version
    }

    /// Returns true if an image's files have their owners inside, and false if all belong to `nobody`.
    #[must_use]
    pub fn maps_layers(&self) -> bool {
        self.0.maps_layers
    }

    /// Makes the configured number of slots, each with a range of user ids that no other slot of the machine has.
    ///
    /// # Errors
    /// When no range is free or a directory cannot be made.
    pub fn slots(&self) -> Result<Vec<Slot>, SandboxError> {
        IdRange::sweep(&self.0.entered.config.run_dir.join("ids"));
        (0..self.0.entered.config.slots).map(|number| self.slot(number)).collect()
    }

    fn slot(&self, number: u32) -> Result<Slot, SandboxError> {
        let config = &self.0.entered.config;
        let ids = IdRange::claim(&config.run_dir.join("ids"))?;
        let user_namespace = sys::user_namespace(ids.base, IDS_PER_SLOT)
            .map_err(SandboxError::launch("make a user namespace"))?;
        let dir = self.0.entered.scratch.join(format!("slot-{number}"));
        make_dir(&dir)
            .and_then(|()| make_mount_points(&dir.join("mount-points"), ids.base))
            .map_err(SandboxError::mount(format!("make {}", dir.display())))?;
        Ok(Slot::new(Arc::clone(&self.0), number, dir, ids, user_namespace))
    }

    /// Finds the entry script of an image for a channel. `layers` are the image's layers, the lowest first.
    ///
    /// # Errors
    /// When the layers cannot be mounted.
    pub fn find_entry(
        &self,
        layers: &[PathBuf],
        channel: Channel,
    ) -> Result<Option<EntryScript>, SandboxError> {
        let number = self.0.probes.fetch_add(1, Ordering::Relaxed);
        let probe = Probe::make(&self.0.entered.scratch.join(format!("probe-{number}")))?;
        let mut mounts = Mounts::default();
        mounts.overlay(&probe.rootfs(), layers, &probe.mount_points(), None)?;
        let root = open_dir(&probe.rootfs())?;
        Ok(EntryScript::candidates(channel)
            .find(|entry| is_program(&root, &format!("{}/{}", entry.working_dir(), entry.script()))))
    }
}

/// A directory to mount an image at for an inspection.
struct Probe(PathBuf);

impl Probe {
    fn make(dir: &Path) -> Result<Self, SandboxError> {
        let probe = Self(dir.to_owned());
        make_dir(dir)
            .and_then(|()| make_mount_points(&probe.mount_points(), 0))
            .map_err(SandboxError::mount(format!("make {}", dir.display())))?;
        Ok(probe)
    }

    fn rootfs(&self) -> PathBuf {
        self.0.join("rootfs")
    }

    fn mount_points(&self) -> PathBuf {
        self.0.join("mount-points")
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn make_mount_points(dir: &Path, owner: u32) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    for path in std::iter::once(dir.to_owned()).chain(MOUNT_POINTS.iter().map(|name| dir.join(name))) {
        fs::create_dir_all(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        chown(&path, Some(owner), Some(owner))?;
    }
    Ok(())
}

/// Returns true for an executable regular file. The path is resolved as the container would resolve it.
fn is_program(root: &OwnedFd, path: &str) -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let Ok(file) = openat2(root, path.trim_start_matches('/'), flags, Mode::empty(), resolve) else {
        return false;
    };
    fs::File::from(file).metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

fn control_groups(entered: &Entered) -> Result<String, SandboxError> {
    let layout = &entered.cgroup.layout;
    if let Some(controller) = REQUIRED_CONTROLLERS.iter().find(|controller| layout.with(controller).is_none())
    {
        return Err(SandboxError::missing_controller(controller));
    }
    drop(JobCgroup::create(Arc::clone(&entered.cgroup), PROBE_SLOT, &Limits::default())?);
    Ok(format!("{:?}, {} hierarchies, every limit reads back", layout.version, layout.hierarchies.len()))
}

fn swap(entered: &Entered) -> Result<String, SandboxError> {
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    if swaps.lines().count() <= 1 {
        return Ok("there is none".to_owned());
    }
    if JobCgroup::create(Arc::clone(&entered.cgroup), PROBE_SLOT, &Limits::default())?.limits_swap() {
        return Ok("limited".to_owned());
    }
    Err(SandboxError::host(
        "the kernel does not limit swap",
        "switch swap off (swapoff -a), or boot with swapaccount=1",
    ))
}

fn mount_points(scratch: &Path) -> Result<String, SandboxError> {
    let closed = scratch
        .ancestors()
        .find(|dir| fs::metadata(dir).map_or(true, |metadata| metadata.permissions().mode() & 0o001 == 0));
    match closed {
        None => Ok("open".to_owned()),
        Some(dir) => Err(SandboxError::host(
            format!("a container's root may not pass through {}", dir.display()),
            "choose another run directory, or chmod o+x this one",
        )),
    }
}

fn user_namespaces() -> Result<String, SandboxError> {
    sys::user_namespace(1 << 20, IDS_PER_SLOT).map(|_| "can be made".to_owned()).map_err(|error| {
        SandboxError::host(
            format!("user namespaces cannot be made ({error})"),
            "allow them (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns)",
        )
    })
}

fn mapped_layers(entered: &Entered) -> Result<String, SandboxError> {
    match try_mapping(entered) {
        Ok(()) => Ok("possible".to_owned()),
        Err(error) if entered.config.allow_unmapped_layers => {
            Ok(format!("not possible ({error}), but the configuration allows unmapped layers"))
        }
        Err(error) => Err(SandboxError::host(
            format!("the owners of an image's files cannot be mapped ({error})"),
            "put the work directory on ext4, xfs or btrfs with Linux 5.19 or newer, or allow unmapped layers",
        )),
    }
}

/// Mounts the work directory as if it were a layer, to find out whether owners can be mapped.
fn try_mapping(entered: &Entered) -> Result<(), SandboxError> {
    let user_namespace =
        sys::user_namespace(1 << 20, IDS_PER_SLOT).map_err(SandboxError::launch("make a user namespace"))?;
    let probe = Probe::make(&entered.scratch.join("probe-map"))?;
    let layers = std::slice::from_ref(&entered.config.workdir);
    Mounts::default().overlay(&probe.rootfs(), layers, &probe.mount_points(), Some(user_namespace.as_fd()))
}
