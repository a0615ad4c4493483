//! Marks that something of the layers below is gone.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::UnpackError;
use super::apply::Applier;
use super::rejection::{Rejection, shown};
use super::tree::{Node, failed, is_opaque, look, make_opaque, make_whiteout, open_plain};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE_MARK: &[u8] = b".wh..wh..opq";

/// Whether a component is a mark.
pub(crate) fn is_mark(name: &OsStr) -> bool {
    name.as_bytes().starts_with(WHITEOUT)
}

impl Applier<'_> {
    /// A whiteout hides what lies below, and nothing of this layer, whichever comes first.
    pub(crate) fn whiteout(&mut self, parent: &Path, mark: &OsStr) -> Result<(), UnpackError> {
        let path = parent.join(mark);
        let fault = |errno| failed("making a whiteout", path.as_os_str().as_bytes(), errno);
        let dir = match self.merged.dir(parent) {
            // Where a file has replaced a directory, some builders list what was in the directory as gone.
            Err(UnpackError::Rejected(Rejection::NotADirectory(_))) => return Ok(()),
            dir => dir?,
        };
        if mark.as_bytes() == OPAQUE_MARK {
            return make_opaque(dir.as_fd()).map_err(fault);
        }
        let name = mark.as_bytes().get(WHITEOUT.len()..).unwrap_or_default();
        if name.starts_with(WHITEOUT) {
            // Other marks that a file system of old left behind.
            return Ok(());
        }
        if matches!(name, b"" | b"." | b"..") {
            return Err(Rejection::Whiteout(shown(path.as_os_str().as_bytes())).into());
        }
        let name = OsStr::from_bytes(name);
        match look(&*dir, name).map_err(fault)? {
            None if is_opaque(&*dir).map_err(fault)? => Ok(()),
            None => make_whiteout(&*dir, name).map_err(fault),
            Some((Node::Dir, _)) => {
                let hidden = open_plain(&*dir, Path::new(name)).map_err(fault)?;
                make_opaque(hidden.as_fd()).map_err(fault)
            }
            Some(_) => Ok(()),
        }
    }
}
