//! Turns a layer's tar stream into a directory as overlayfs wants it. The stream is hostile: every name is cleaned,
//! every parent is resolved inside the directory, nothing that exists is written through, and all of it is bounded.
//!
//! **Why names are resolved against lower layers.** Image builders mean a layer to be applied on top of those below
//! it: with `/bin -> usr/bin` below, an entry `bin/foo` belongs to `usr/bin/foo`. A layer unpacked alone would make a
//! directory `bin` instead, which hides the symlink. So where a directory on the way to an entry is not in the layer
//! itself, the layers below are asked: a symlink there is followed inside the merged tree, a directory there gives its
//! owner and mode. A hard link to a file of a lower layer copies that file up. A layer that had to ask is only right
//! on top of those very layers, and is stored under its chain's digest instead of its own (see `dirs`). Layers as
//! most builders write them hold all their directories, never ask, and are shared by every image.
//!
//! - `archive`: the tar format to entries, `pax`: its extended headers
//! - `limits`, `rejection`: bounds and refusals
//! - `tree`: the directory being made, `merged`: it and the layers below as one
//! - `name`: what an entry may be called
//! - `apply`, `hardlink`, `whiteout`: one entry at a time, `attributes`: owners, modes, extended attributes,
//!   `dirs`: the times of directories

mod apply;
mod archive;
mod attributes;
mod dirs;
mod hardlink;
mod limits;
mod merged;
mod name;
mod pax;
mod rejection;
mod tree;
mod whiteout;

#[cfg(test)]
pub(crate) mod tests;

use std::io::BufRead;
use std::os::fd::{AsFd, OwnedFd};

pub use limits::LayerLimits;
pub use rejection::Rejection;

use apply::Applier;
use archive::Archive;
use merged::Lowers;

/// Why a layer was not unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    /// The layer breaks a rule.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The layer refers to what lies below it, and no layers below were given.
    #[error("the layer needs the layers below it")]
    NeedsLower,
    /// The machine failed.
    #[error("{what} failed: {source}")]
    Io {
        /// The operation.
        what: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
}

/// What unpacking found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnpackOutcome {
    /// The layers below were asked, so the directory is right only on top of them.
    pub(crate) used_lower: bool,
}

/// Whether a layer's root hides all layers below it.
pub(crate) fn hides_below(root: impl AsFd) -> bool {
    tree::is_opaque(root).unwrap_or(false)
}

/// Unpacks `tar` into the empty directory `root`. `lowers` are the layers below, from the top; `None` if they are not
/// at hand. Reads as far as the archive's end mark.
pub(crate) fn unpack(
    tar: impl BufRead,
    root: OwnedFd,
    lowers: Option<Vec<OwnedFd>>,
    limits: &LayerLimits,
) -> Result<UnpackOutcome, UnpackError> {
    let mut archive = Archive::new(tar, limits);
    let mut applier = Applier::new(root, lowers.map(Lowers::new), limits)?;
    while let Some(entry) = archive.next_entry()? {
        applier.apply(&entry, &mut archive)?;
    }
    applier.finish()
}
