//! Gives the submission to the container's root, so that the tool may write beside it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, openat};

/// Changes the owner of everything in `dir`, by descriptor and without following a link.
pub(crate) fn chown_recursive(dir: BorrowedFd<'_>, owner: u32) -> io::Result<()> {
    let mut entries = Dir::read_from(dir)?;
    while let Some(entry) = entries.read() {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let uid = Some(Uid::from_raw(owner));
        let gid = Some(Gid::from_raw(owner));
        chownat(dir, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        if entry.file_type() == FileType::Directory {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            chown_recursive(openat(dir, name, flags, Mode::empty())?.as_fd(), owner)?;
        }
    }
    Ok(())
}
