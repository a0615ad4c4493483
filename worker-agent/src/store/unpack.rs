//! Unpacks a layer's tar stream into a directory for overlayfs. The stream is hostile: every name is checked, every
//! parent is resolved inside the directory, nothing that exists is written through, and everything is limited.
//!
//! **Why names are resolved against lower layers.** Image builders expect a layer to be applied on top of those below
//! it: with `/bin -> usr/bin` below, an entry `bin/foo` belongs to `usr/bin/foo`. A layer unpacked alone would get a
//! directory `bin` instead, which hides the symlink. So if a parent directory of an entry is not in the layer itself,
//! it is looked up in the layers below: a symlink there is followed inside the merged tree, and a directory there gives
//! its owner and mode. A hard link to a file of a lower layer copies that file up. A layer that used the layers below
//! is only right on top of those very layers, and is stored under its chain's digest instead of its own (see
//! `store/dirs`). Layers as most builders write them contain all their directories, so they do not use the layers below
//! and are shared by all images.
//!
//! - `archive`: parses the tar format into entries, `pax`: its extended headers
//! - `rejection`: why a layer is refused
//! - `tree`: the directory being made, `merged`: that directory and the layers below as one tree
//! - `name`: checks entries' names
//! - `apply`, `hardlink`, `whiteout`: apply one entry at a time, `attributes`: owners, modes, extended attributes

mod apply;
mod archive;
mod attributes;
mod hardlink;
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

pub use rejection::Rejection;

use apply::Applier;
use archive::Archive;
use merged::LowerLayers;

/// Why a layer was not unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    /// The layer breaks a rule.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The layer needs the layers below it, and they were not given.
    #[error("the layer needs the layers below it")]
    NeedsLower,
    /// The machine failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// The operation.
        what: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
}

/// What was found out while unpacking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnpackOutcome {
    /// True if the layers below were used, so that the directory is only right on top of them.
    pub(crate) used_lower: bool,
}

/// Limits on one layer. The defaults admit every image that is useful as a tooling container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerLimits {
    /// Entries of the archive, including extended headers.
    pub entries: u64,
    /// Bytes of the tar stream, and of the files written.
    pub bytes: u64,
    /// Bytes of the tar stream for each byte transferred. Applies to a stream longer than `ratio_from`.
    pub ratio: u64,
    /// Bytes of the tar stream from which `ratio` applies.
    pub ratio_from: u64,
    /// Bytes of one path.
    pub path: usize,
    /// Components of one path.
    pub depth: usize,
    /// Bytes of all extended headers of one entry.
    pub header: u64,
    /// Bytes of all directories' names and times together, which are kept until the end.
    pub directory_names: usize,
}

impl Default for LayerLimits {
    fn default() -> Self {
        Self {
            entries: 1_000_000,
            bytes: 20 << 30,
            ratio: 250,
            ratio_from: 256 << 20,
            path: 4095,
            depth: 128,
            header: 1 << 20,
            directory_names: 16 << 20,
        }
    }
}

/// Returns true if a layer's root hides all layers below it.
pub(crate) fn has_opaque_root(root: impl AsFd) -> bool {
    tree::is_opaque(root).unwrap_or(false)
}

/// Unpacks `tar` into the empty directory `root`, and reads up to the archive's end mark. `lowers` are the layers
/// below, from the top, or `None` if they are not available.
pub(crate) fn unpack(
    tar: impl BufRead,
    root: OwnedFd,
    lowers: Option<Vec<OwnedFd>>,
    limits: &LayerLimits,
) -> Result<UnpackOutcome, UnpackError> {
    let mut archive = Archive::new(tar, limits);
    let mut applier = Applier::new(root, lowers.map(LowerLayers::new), limits)?;
    while let Some(entry) = archive.next_entry()? {
        applier.apply(&entry, &mut archive)?;
    }
    applier.finish()
}
