//! The worker's own group as the root of all it sees: what it makes is inside its pod's limits, whatever it is named,
//! and no path leads to another's group.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, move_mount, open_tree, unmount,
};

use super::layout::{Hierarchy, Layout, Version};
use crate::sandbox::error::Error;
use crate::sys;

/// Shows only the own group and those below it, in every hierarchy. For a process with one thread and a mount
/// namespace of its own; it does nothing where that is so already.
pub(crate) fn make_own_group_the_root() -> Result<(), Error> {
    let layout = Layout::read()?;
    let mut above = layout.above_own().peekable();
    let Some(first) = above.peek() else { return Ok(()) };
    // A namespace that is made in a worker's leaf begins there, and who is in the leaf cannot go up.
    if first.in_leaf {
        return above.try_for_each(mount_part);
    }
    sys::unshare_cgroups().map_err(Error::cgroup("make a control group namespace"))?;
    above.try_for_each(|hierarchy| mount_again(hierarchy, layout.version))
}

/// The own group's part of the mount that there is, in its place.
fn mount_part(hierarchy: &Hierarchy) -> Result<(), Error> {
    let point = &hierarchy.mount_point;
    let done = || -> io::Result<()> {
        let part = open_tree(
            CWD,
            &hierarchy.own,
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC,
        )?;
        unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?;
        Ok(move_mount(part, c"", CWD, point, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
    };
    done().map_err(Error::cgroup(format!("mount the own control group at {}", point.display())))
}

/// In the new namespace a fresh mount has the own group as its root. The old one must not stay below: `runc` would find
/// it first.
fn mount_again(hierarchy: &Hierarchy, version: Version) -> Result<(), Error> {
    let point = &hierarchy.mount_point;
    let done = || -> io::Result<()> {
        let mounted = hierarchy.mounted(version);
        // `rw` is a flag to the kernel, not an option.
        let options: Vec<&str> = mounted.options.split(',').filter(|option| *option != "rw").collect();
        let options = CString::new(options.join(","))?;
        let kind = CString::new(mounted.kind)?;
        unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        let name = CString::new(point.file_name().unwrap_or_default().as_bytes())?;
        Ok(mount(&*name, point, &*kind, flags, &*options)?)
    };
    done().map_err(Error::cgroup(format!("mount the own control group at {}", point.display())))
}
