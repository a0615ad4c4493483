//! Owners, modes, times and extended attributes.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod, fchown, fgetxattr,
    flistxattr, fsetxattr, futimens, openat, utimensat,
};
use rustix::io::Errno;

use super::UnpackError;
use super::archive::Entry;
use super::merged::LowerNode;
use super::pax::Xattrs;
use super::rejection::{Rejection, quoted};
use super::tree::{Node, operation_failed};

/// Number of owners that a slot's user namespace maps.
const MAX_OWNERS: u64 = 1 << 16;
/// Maximum bytes of an extended attribute's value.
const MAX_XATTR_BYTES: usize = 64 << 10;

/// The attributes of a node: everything but its kind and content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attributes {
    mode: u32,
    owner: (u32, u32),
    pub(crate) mtime: (i64, u32),
    xattrs: Xattrs,
}

impl Default for Attributes {
    /// Returns the attributes of a directory without an entry of its own.
    fn default() -> Self {
        Self { mode: 0o755, owner: (0, 0), mtime: (0, 0), xattrs: Vec::new() }
    }
}

impl Attributes {
    /// Returns the attributes of an entry, without those that are not taken over.
    pub(crate) fn from_entry(entry: &Entry) -> Result<Self, Rejection> {
        let (uid, gid) = entry.owner;
        let mapped = |id: u64| u32::try_from(id).ok().filter(|_| id < MAX_OWNERS);
        let (Some(owner), Some(group)) = (mapped(uid), mapped(gid)) else {
            return Err(Rejection::Owner(quoted(&entry.name), uid, gid));
        };
        let xattrs = entry.xattrs.iter();
        Ok(Self {
            mode: entry.mode,
            owner: (owner, group),
            mtime: entry.mtime,
            xattrs: xattrs
                .filter(|(name, value)| is_taken_over(name) && value.len() <= MAX_XATTR_BYTES)
                .cloned()
                .collect(),
        })
    }

    /// Returns the attributes of a node in a lower layer. They came from [`Self::from_entry`] when that layer was
    /// unpacked.
    pub(crate) fn of(found: &LowerNode, name: &OsStr) -> Result<Self, UnpackError> {
        let failed = |errno| operation_failed("read a lower layer", name.as_bytes(), errno);
        let nanos = u32::try_from(found.stat.st_mtime_nsec).unwrap_or(0);
        let mut all = Self {
            mode: found.stat.st_mode & 0o7777,
            owner: (found.stat.st_uid, found.stat.st_gid),
            mtime: (found.stat.st_mtime, nanos),
            xattrs: Vec::new(),
        };
        if matches!(found.node, Node::Dir | Node::File) {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = openat(&found.dir, name, flags, Mode::empty()).map_err(failed)?;
            all.xattrs = read_xattrs(&file).map_err(failed)?;
        }
        Ok(all)
    }

    /// Sets all attributes but the time. The owner comes first, because changing it clears set-id bits and
    /// capabilities.
    pub(crate) fn apply(&self, file: &OwnedFd, name: &[u8]) -> Result<(), UnpackError> {
        let failed = |errno| operation_failed("set an owner or mode", name, errno);
        let (uid, gid) = self.owner;
        fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).map_err(failed)?;
        fchmod(file, Mode::from_raw_mode(self.mode)).map_err(failed)?;
        for (key, value) in &self.xattrs {
            match fsetxattr(file, key.as_slice(), value, XattrFlags::empty()) {
                Ok(()) | Err(Errno::OPNOTSUPP) => {}
                Err(Errno::IO) => return Err(failed(Errno::IO)),
                Err(errno) => {
                    let what = format!("its extended attribute {}: {errno}", quoted(key));
                    return Err(Rejection::Unplaceable(quoted(name), what).into());
                }
            }
        }
        Ok(())
    }

    /// Sets the owner and time of a symlink, which has no other attributes.
    pub(crate) fn apply_symlink(&self, dir: impl AsFd, name: &OsStr) -> Result<(), UnpackError> {
        let failed = |errno| operation_failed("set the owner of a symlink", name.as_bytes(), errno);
        let (uid, gid) = self.owner;
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        chownat(&dir, name, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), flags).map_err(failed)?;
        utimensat(&dir, name, &times(self.mtime), flags).map_err(failed)
    }
}

/// Sets the time of a file or directory.
pub(crate) fn set_time(file: impl AsFd, mtime: (i64, u32), name: &[u8]) -> Result<(), UnpackError> {
    futimens(file, &times(mtime)).map_err(|e| operation_failed("set a time", name, e))
}

fn times((seconds, nanos): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// Returns true for `user.*` and file capabilities. Overlayfs's own attributes are never taken over, because a layer
/// could change with them what is merged.
fn is_taken_over(name: &[u8]) -> bool {
    let plain = name.len() <= 255 && !name.contains(&0);
    let user = name.starts_with(b"user.") && name.len() > 5 && !name.starts_with(b"user.overlay.");
    plain && (user || name == b"security.capability")
}

fn read_xattrs(file: &OwnedFd) -> Result<Xattrs, Errno> {
    let mut names = vec![0; MAX_XATTR_BYTES];
    let length = match flistxattr(file, &mut names) {
        Err(Errno::OPNOTSUPP) => 0,
        other => other?,
    };
    names.truncate(length);
    let mut all = Vec::new();
    for name in names.split(|b| *b == 0).filter(|name| is_taken_over(name)) {
        let mut value = vec![0; MAX_XATTR_BYTES];
        let length = fgetxattr(file, name, &mut value)?;
        value.truncate(length);
        all.push((name.to_vec(), value));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("user.mime", true)]
    #[case("security.capability", true)]
    #[case("security.selinux", false)]
    #[case("trusted.overlay.opaque", false)]
    #[case("trusted.overlay.redirect", false)]
    #[case("user.overlay.opaque", false)]
    #[case("user.", false)]
    #[case("user.a\0b", false)]
    fn extended_attributes(#[case] name: &str, #[case] taken: bool) {
        assert_eq!(is_taken_over(name.as_bytes()), taken);
    }
}
