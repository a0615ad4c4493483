//! The parts that all builds share, and the directory that each slot has for its builds.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trackyard_builder::driver::Driver;
use trackyard_builder::fetch::Repositories;
use trackyard_images::ImageOptions;
use trackyard_protocol::source::ImageSource;
use trackyard_protocol::version::Digest;

use crate::sandbox::Host;
use crate::store::Store;
use crate::trust::Trust;

/// Size of a driver's cache above which it is emptied.
const MAX_CACHE_BYTES: u64 = 20 << 30;
/// Number of builds between two checks of the cache's size.
const BUILDS_BETWEEN_TRIMS: u32 = 16;

/// The parts that all builds share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BuildContext {
    /// The cache of fetched repositories.
    pub repositories: Arc<Repositories>,
    /// The store into which the smoke check unpacks images.
    pub store: Store,
    /// The sandbox.
    pub host: Host,
    /// Credentials and other options of registries.
    pub options: ImageOptions,
    /// What the router may decide.
    pub trust: Arc<Trust>,
    /// The image source to which images are released.
    pub images: ImageSource,
}

/// The directory of a slot, for one build at a time.
#[derive(Debug)]
pub struct BuildWorkspace {
    dir: PathBuf,
    /// The image of the last build. The next one is likely to have the same layers.
    pub last: Option<Digest>,
    builds: u32,
    /// The driver, with its state in this directory.
    pub driver: Box<dyn Driver>,
}

impl BuildWorkspace {
    /// Creates the directory. Removes what a killed build has left in it.
    ///
    /// # Errors
    /// If the directory cannot be created.
    pub fn open(dir: PathBuf, driver: Box<dyn Driver>) -> io::Result<Self> {
        let workspace = Self { dir, driver, last: None, builds: 0 };
        workspace.clear()?;
        Ok(workspace)
    }

    /// Returns the directory of the commit's files.
    #[must_use]
    pub fn tree(&self) -> PathBuf {
        self.dir.join("tree")
    }

    /// Returns the directory of the built image.
    #[must_use]
    pub fn image(&self) -> PathBuf {
        self.dir.join("image")
    }

    /// Returns the directory that holds both, which is also the image's layout directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the directory of the driver's cache.
    #[must_use]
    pub fn state(dir: &Path) -> PathBuf {
        dir.join("state")
    }

    /// Empties the driver's cache if it is too large. The size is checked only after every few builds, because that
    /// takes time.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn trim(&mut self) -> io::Result<()> {
        self.builds += 1;
        let state = Self::state(&self.dir);
        if self.builds.is_multiple_of(BUILDS_BETWEEN_TRIMS)
            && trackyard_builder::size::disk_usage(&state) > MAX_CACHE_BYTES
        {
            tracing::info!(dir = %state.display(), "the driver's cache is emptied");
            fs::remove_dir_all(state)?;
        }
        Ok(())
    }

    /// Removes the commit's files and the built image.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn clear(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        for dir in [self.tree(), self.image()] {
            match fs::remove_dir_all(&dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}
