//! The file systems of one job: the image's layers as one read-only tree, the job directory and `/tmp`.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount, move_mount, open_tree, unmount,
};
use trackyard_protocol::limits::Limits;

use super::error::Error;
use crate::sys;

/// The kernel takes a page of options.
const OPTIONS_MAX: usize = 4095;
const TMP_INODES: u64 = 65_536;

/// Mounts that go away, the last first, when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Mounts(Vec<PathBuf>);

impl Mounts {
    fn attach(&mut self, mount: &OwnedFd, target: &Path) -> io::Result<()> {
        fs::create_dir_all(target)?;
        move_mount(mount, c"", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        self.0.push(target.to_owned());
        Ok(())
    }

    /// A sized, empty file system of `owner`'s.
    pub(crate) fn tmpfs(&mut self, target: &Path, size: &Size) -> Result<(), Error> {
        let made = size.mount().and_then(|mount| self.attach(&mount, target));
        made.map_err(Error::mount(format!("mount a tmpfs at {}", target.display())))
    }

    /// The layers, the lowest first, with `skeleton` on top, as one read-only tree at `target`. Owners are as
    /// `user_namespace` maps them; the skeleton's stay.
    pub(crate) fn overlay(
        &mut self,
        target: &Path,
        layers: &[PathBuf],
        skeleton: &Path,
        user_namespace: Option<BorrowedFd<'_>>,
    ) -> Result<(), Error> {
        let mut lower = vec![skeleton.to_owned()];
        for (index, layer) in layers.iter().enumerate().rev() {
            let point = target.with_file_name("l").join(index.to_string());
            let sealed = seal(layer, user_namespace).and_then(|mount| self.attach(&mount, &point));
            sealed.map_err(Error::mount(format!("map the layer {}", layer.display())))?;
            lower.push(point);
        }
        let stacked = match overlay_options(&lower) {
            Some(options) => self.stack(target, &options),
            None => self.stack_by_number(target, &lower),
        };
        stacked.map_err(Error::mount(format!("mount the overlay of {} layers", layers.len())))
    }

    /// The directories by the numbers of descriptors, which are short whatever the paths are.
    fn stack_by_number(&mut self, target: &Path, lower: &[PathBuf]) -> io::Result<()> {
        let open = |dir: &PathBuf| rustix::fs::open(dir, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let dirs: Vec<OwnedFd> = lower.iter().map(open).collect::<Result<_, _>>()?;
        let number = |dir: &OwnedFd| PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
        let numbers: Vec<PathBuf> = dirs.iter().map(number).collect();
        let options = overlay_options(&numbers).ok_or_else(|| io::Error::other("too many layers"))?;
        self.stack(target, &options)
    }

    fn stack(&mut self, target: &Path, options: &CStr) -> io::Result<()> {
        fs::create_dir_all(target)?;
        let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
        mount(c"overlay", target, c"overlay", flags, Some(options))?;
        self.0.push(target.to_owned());
        Ok(())
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        for point in self.0.iter().rev() {
            // Detached, so that a file that is still open cannot keep the place from being used again.
            if let Err(error) = unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
                tracing::error!(point = %point.display(), %error, "a mount is left behind");
            }
        }
    }
}

/// A detached copy of a layer's directory, read-only and id-mapped.
fn seal(layer: &Path, user_namespace: Option<BorrowedFd<'_>>) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, layer, flags)?;
    sys::seal_mount(tree.as_fd(), user_namespace)?;
    Ok(tree)
}

/// The directories as one list; none if it is longer than the kernel takes.
fn overlay_options(lower: &[PathBuf]) -> Option<CString> {
    let paths: Vec<String> = lower.iter().map(|path| path.display().to_string()).collect();
    // A hostile layer must not redirect a directory to another layer's.
    let options = format!("redirect_dir=nofollow,metacopy=off,lowerdir={}", paths.join(":"));
    CString::new(options).ok().filter(|options| options.count_bytes() <= OPTIONS_MAX)
}

/// How large a tmpfs is, and whose.
pub(crate) struct Size {
    bytes: u64,
    inodes: u64,
    mode: u32,
    owner: u32,
}

impl Size {
    /// The job directory's.
    pub(crate) fn job_dir(limits: &Limits, owner: u32) -> Self {
        // One more for the directory itself: the limit counts what is in it.
        Self { bytes: limits.job_folder.0, inodes: u64::from(limits.job_inodes) + 1, mode: 0o755, owner }
    }

    /// `/tmp`'s.
    pub(crate) fn tmp(limits: &Limits, owner: u32) -> Self {
        Self { bytes: limits.tmp.0, inodes: TMP_INODES, mode: 0o1777, owner }
    }

    /// The worker's own small one, that holds all other mount points.
    pub(crate) fn workbench() -> Self {
        Self { bytes: 64 << 20, inodes: 65_536, mode: 0o711, owner: 0 }
    }

    fn mount(&self) -> io::Result<OwnedFd> {
        let context = fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let options = [
            (c"size", self.bytes.to_string()),
            (c"nr_inodes", self.inodes.to_string()),
            (c"mode", format!("{:o}", self.mode)),
            (c"uid", self.owner.to_string()),
            (c"gid", self.owner.to_string()),
        ];
        for (key, value) in options {
            fsconfig_set_string(context.as_fd(), key, value)?;
        }
        fsconfig_create(context.as_fd())?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        Ok(fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
    }
}

/// A descriptor of a directory, for all further work beneath it.
pub(crate) fn open_dir(path: &Path) -> Result<OwnedFd, Error> {
    File::open(path).map(OwnedFd::from).map_err(Error::mount(format!("open {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_dirs_is_used_while_it_fits_the_kernels_page() {
        let lower: Vec<PathBuf> =
            (0..128).map(|n| PathBuf::from(format!("/run/trackyard/mnt/slot-63/l/{n}"))).collect();
        assert!(overlay_options(&lower[..100]).is_some());
        assert!(overlay_options(&lower).is_none());
    }
}
