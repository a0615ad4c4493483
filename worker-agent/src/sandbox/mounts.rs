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

use super::error::SandboxError;
use crate::sys;

/// Maximum length of a mount's options: the kernel takes one page.
const MAX_OPTIONS_BYTES: usize = 4095;
const MAX_TMP_INODES: u64 = 65_536;

/// Mounts that are unmounted, the last one first, when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Mounts(Vec<PathBuf>);

impl Mounts {
    fn attach(&mut self, mount: &OwnedFd, target: &Path) -> io::Result<()> {
        fs::create_dir_all(target)?;
        move_mount(mount, c"", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        self.0.push(target.to_owned());
        Ok(())
    }

    /// Mounts an empty file system in memory at `target`.
    pub(crate) fn tmpfs(&mut self, target: &Path, options: &TmpfsOptions) -> Result<(), SandboxError> {
        let made = options.mount().and_then(|mount| self.attach(&mount, target));
        made.map_err(SandboxError::mount(format!("mount a tmpfs at {}", target.display())))
    }

    /// Mounts the layers, the lowest first, with `mount_points` on top, as one read-only tree at `target`. The owners
    /// in the layers are mapped by `user_namespace`; those in `mount_points` stay.
    pub(crate) fn overlay(
        &mut self,
        target: &Path,
        layers: &[PathBuf],
        mount_points: &Path,
        user_namespace: Option<BorrowedFd<'_>>,
    ) -> Result<(), SandboxError> {
        let mut lower = vec![mount_points.to_owned()];
        for (index, layer) in layers.iter().enumerate().rev() {
            let point = target.with_file_name("l").join(index.to_string());
            let mapped = map_layer(layer, user_namespace).and_then(|mount| self.attach(&mount, &point));
            mapped.map_err(SandboxError::mount(format!("map the layer {}", layer.display())))?;
            lower.push(point);
        }
        let stacked = match overlay_options(&lower) {
            Some(options) => self.stack(target, &options),
            None => self.stack_by_descriptor(target, &lower),
        };
        stacked.map_err(SandboxError::mount(format!("mount the overlay of {} layers", layers.len())))
    }

    /// Mounts the directories by their descriptors' numbers, which are short whatever the paths are.
    fn stack_by_descriptor(&mut self, target: &Path, lower: &[PathBuf]) -> io::Result<()> {
        let dirs: Vec<OwnedFd> = lower
            .iter()
            .map(|dir| rustix::fs::open(dir, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()))
            .collect::<Result<_, _>>()?;
        let paths: Vec<PathBuf> =
            dirs.iter().map(|dir| format!("/proc/self/fd/{}", dir.as_raw_fd()).into()).collect();
        let options = overlay_options(&paths).ok_or_else(|| io::Error::other("too many layers"))?;
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
            // Detached, so that a file that is still open does not block the mount point.
            if let Err(error) = unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
                tracing::error!(point = %point.display(), %error, "a mount is left behind");
            }
        }
    }
}

/// Returns a detached, read-only and id-mapped mount of a layer's directory.
fn map_layer(layer: &Path, user_namespace: Option<BorrowedFd<'_>>) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, layer, flags)?;
    sys::restrict_mount(tree.as_fd(), user_namespace)?;
    Ok(tree)
}

/// Returns the overlay's options for these directories, or `None` if they are longer than the kernel takes.
fn overlay_options(lower: &[PathBuf]) -> Option<CString> {
    let paths: Vec<String> = lower.iter().map(|path| path.display().to_string()).collect();
    // A hostile layer must not redirect a directory to another layer's.
    let options = format!("redirect_dir=nofollow,metacopy=off,lowerdir={}", paths.join(":"));
    CString::new(options).ok().filter(|options| options.count_bytes() <= MAX_OPTIONS_BYTES)
}

/// The size, mode and owner of a tmpfs.
pub(crate) struct TmpfsOptions {
    bytes: u64,
    inodes: u64,
    mode: u32,
    owner: u32,
}

impl TmpfsOptions {
    /// Returns the options of the job directory.
    pub(crate) fn job_dir(limits: &Limits, owner: u32) -> Self {
        // The limit counts what is in the directory, so the directory itself needs one more.
        Self { bytes: limits.job_folder.0, inodes: u64::from(limits.job_inodes) + 1, mode: 0o755, owner }
    }

    /// Returns the options of `/tmp`.
    pub(crate) fn tmp(limits: &Limits, owner: u32) -> Self {
        Self { bytes: limits.tmp.0, inodes: MAX_TMP_INODES, mode: 0o1777, owner }
    }

    /// Returns the options of the worker's scratch file system, which holds all other mount points.
    pub(crate) fn scratch() -> Self {
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

/// Opens a directory for all further work beneath it.
pub(crate) fn open_dir(path: &Path) -> Result<OwnedFd, SandboxError> {
    File::open(path).map(OwnedFd::from).map_err(SandboxError::mount(format!("open {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_fit_a_page_or_are_refused() {
        let lower: Vec<PathBuf> =
            (0..128).map(|n| PathBuf::from(format!("/run/trackyard/mnt/slot-63/l/{n}"))).collect();
        assert!(overlay_options(&lower[..100]).is_some());
        assert!(overlay_options(&lower).is_none());
    }
}
