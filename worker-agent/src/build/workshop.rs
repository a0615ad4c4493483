//! What all builds of a worker share, and what each slot has of its own.

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

/// Bytes of a driver's cache.
const MAX_STATE: u64 = 20 << 30;
/// Builds between two looks at it.
const TRIM_EVERY: u32 = 16;

/// What all builds share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Workshop {
    /// The repositories fetched so far.
    pub repositories: Arc<Repositories>,
    /// Where the smoke check unpacks images.
    pub store: Store,
    /// The sandbox.
    pub host: Host,
    /// Credentials of registries and such.
    pub options: ImageOptions,
    /// Whose word counts.
    pub trust: Arc<Trust>,
    /// Where images are released to.
    pub images: ImageSource,
}

/// A slot's own directory: one build at a time works in it.
#[derive(Debug)]
pub struct Bench {
    dir: PathBuf,
    /// The image that was built last: its layers are likely to be the next one's too.
    pub last: Option<Digest>,
    builds: u32,
    /// What builds, with its state in this directory.
    pub driver: Box<dyn Driver>,
}

impl Bench {
    /// Makes the directory, without what a build that was killed has left there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(dir: PathBuf, driver: Box<dyn Driver>) -> io::Result<Self> {
        let bench = Self { dir, driver, last: None, builds: 0 };
        bench.clear()?;
        Ok(bench)
    }

    /// Where the commit's files go.
    #[must_use]
    pub fn tree(&self) -> PathBuf {
        self.dir.join("tree")
    }

    /// Where the driver leaves the image.
    #[must_use]
    pub fn image(&self) -> PathBuf {
        self.dir.join("image")
    }

    /// The directory that holds both, as a place for images.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The directory of the driver's own state: its cache.
    #[must_use]
    pub fn state(dir: &Path) -> PathBuf {
        dir.join("state")
    }

    /// Empties the driver's cache if it has grown too large; looked at now and then, because looking takes time.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn trim(&mut self) -> io::Result<()> {
        self.builds += 1;
        let state = Self::state(&self.dir);
        if self.builds.is_multiple_of(TRIM_EVERY) && trackyard_builder::size::disk_usage(&state) > MAX_STATE {
            tracing::info!(dir = %state.display(), "the driver's cache is emptied");
            fs::remove_dir_all(state)?;
        }
        Ok(())
    }

    /// Empties both.
    ///
    /// # Errors
    /// When something cannot be removed.
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
