//! Makes the worker's own group the root of all that it sees: whatever it makes is inside its pod's limits, and no path
//! leads to a foreign group.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, move_mount, open_tree, unmount,
};

use trackyard_builder::confine::CgroupMount;

use super::layout::{Hierarchy, Layout, Version};
use crate::sandbox::error::SandboxError;
use crate::sys;

/// Hides all groups but the own one and those below it, in every hierarchy. The process must have one thread and a
/// mount namespace of its own. Does nothing if they are hidden already.
pub(crate) fn hide_foreign_cgroups() -> Result<(), SandboxError> {
    let layout = Layout::read()?;
    let mut above = layout.above_own().peekable();
    let Some(first) = above.peek() else { return Ok(()) };
    // A namespace made in a worker's leaf would start there, and a process in the leaf cannot move up.
    if first.in_leaf {
        return above.try_for_each(bind_own_group);
    }
    sys::unshare_cgroups().map_err(SandboxError::cgroup("make a cgroup namespace"))?;
    above.try_for_each(|hierarchy| remount(hierarchy, layout.version))
}

/// Replaces the hierarchy's mount by the own group's part of it.
fn bind_own_group(hierarchy: &Hierarchy) -> Result<(), SandboxError> {
    let point = &hierarchy.mount_point;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mounted = open_tree(CWD, &hierarchy.own, flags).and_then(|own| {
        unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?;
        move_mount(own, c"", CWD, point, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
    });
    mounted.map_err(|errno| cannot_mount(point)(errno.into()))
}

/// Mounts the hierarchy afresh: in the new namespace the mount has the own group as its root. The old mount must not
/// stay below, because `runc` would find it first.
fn remount(hierarchy: &Hierarchy, version: Version) -> Result<(), SandboxError> {
    replace_mount(&hierarchy.mount_point, &hierarchy.mounted(version))
        .map_err(cannot_mount(&hierarchy.mount_point))
}

fn replace_mount(point: &Path, new: &CgroupMount) -> io::Result<()> {
    // `rw` is a flag to the kernel, not an option.
    let options: Vec<&str> = new.options.split(',').filter(|option| *option != "rw").collect();
    let options = CString::new(options.join(","))?;
    let kind = CString::new(new.kind)?;
    let name = CString::new(point.file_name().unwrap_or_default().as_bytes())?;
    unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(mount(&*name, point, &*kind, flags, &*options)?)
}

fn cannot_mount(point: &Path) -> impl FnOnce(io::Error) -> SandboxError {
    SandboxError::cgroup(format!("mount the own cgroup at {}", point.display()))
}
