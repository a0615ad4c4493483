//! Applies whiteouts, the marks that something of the layers below is removed.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::UnpackError;
use super::apply::Applier;
use super::rejection::{Rejection, quoted};
use super::tree::{
    Node, find, is_opaque, make_opaque, make_whiteout, open_without_symlinks, operation_failed,
};

const WHITEOUT_PREFIX: &[u8] = b".wh.";
const OPAQUE_WHITEOUT: &[u8] = b".wh..wh..opq";

/// Returns true if a component is a whiteout.
pub(crate) fn is_whiteout(name: &OsStr) -> bool {
    name.as_bytes().starts_with(WHITEOUT_PREFIX)
}

impl Applier<'_> {
    /// Applies a whiteout. It hides nodes of the layers below, and none of this layer, in whatever order they come.
    pub(crate) fn whiteout(&mut self, parent: &Path, whiteout: &OsStr) -> Result<(), UnpackError> {
        let path = parent.join(whiteout);
        let failed = |errno| operation_failed("make a whiteout", path.as_os_str().as_bytes(), errno);
        let dir = match self.merged.dir(parent) {
            // If a file has replaced a directory, some builders add whiteouts for the directory's content.
            Err(UnpackError::Rejected(Rejection::NotADirectory(_))) => return Ok(()),
            dir => dir?,
        };
        if whiteout.as_bytes() == OPAQUE_WHITEOUT {
            return make_opaque(dir.as_fd()).map_err(failed);
        }
        let name = whiteout.as_bytes().get(WHITEOUT_PREFIX.len()..).unwrap_or_default();
        if name.starts_with(WHITEOUT_PREFIX) {
            // Other marks, left behind by an old file system.
            return Ok(());
        }
        if matches!(name, b"" | b"." | b"..") {
            return Err(Rejection::Whiteout(quoted(path.as_os_str().as_bytes())).into());
        }
        let name = OsStr::from_bytes(name);
        match find(&*dir, name).map_err(failed)? {
            None if is_opaque(&*dir).map_err(failed)? => Ok(()),
            None => make_whiteout(&*dir, name).map_err(failed),
            Some((Node::Dir, _)) => {
                let hidden = open_without_symlinks(&*dir, Path::new(name)).map_err(failed)?;
                make_opaque(hidden.as_fd()).map_err(failed)
            }
            Some(_) => Ok(()),
        }
    }
}
