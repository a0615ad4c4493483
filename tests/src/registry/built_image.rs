//! A built image as a build driver leaves it: a layout directory with one image.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::image::{Image, Layer};
use crate::layout::Layout;

const NAME: &str = "built";

/// A built image in a directory of its own.
pub struct BuiltImage {
    dir: TempDir,
    digest: String,
}

impl BuiltImage {
    /// Writes an image.
    ///
    /// # Panics
    /// When the directory can't be written.
    #[must_use]
    pub fn of(image: &Image) -> Self {
        let dir = TempDir::new().expect("a directory for a built image");
        let digest = Layout::at(dir.path()).add(NAME, "built", image);
        Self { dir, digest }
    }

    /// Writes a small image; its digest depends on `text`.
    #[must_use]
    pub fn small(text: &str) -> Self {
        Self::of(&Image::tooling("test_runners", &format!("echo {text}")))
    }

    /// Writes an image with a layer of `bytes` incompressible bytes.
    ///
    /// # Panics
    /// When the machine has no random bytes.
    #[must_use]
    pub fn large(bytes: u64) -> Self {
        let mut content = Vec::new();
        let random = File::open("/dev/urandom").expect("random bytes");
        random.take(bytes).read_to_end(&mut content).expect("random bytes");
        Self::of(&Image::tooling("test_runners", "true").layer(Layer::of(&[("large", 0o644, &content)])))
    }

    /// Returns the layout directory.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.path().join(NAME)
    }

    /// Returns the manifest's digest.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns the path of a blob.
    #[must_use]
    pub fn blob(&self, digest: &str) -> PathBuf {
        Layout::at(self.dir.path()).blob(NAME, digest)
    }

    /// Returns the blobs' files, the largest first.
    ///
    /// # Panics
    /// When the directory can't be read.
    #[must_use]
    pub fn blobs(&self) -> Vec<PathBuf> {
        let entries = self.path().join("blobs/sha256").read_dir().expect("the blobs' directory");
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort_by_key(|file| std::cmp::Reverse(size(file)));
        files
    }
}

fn size(file: &Path) -> u64 {
    file.metadata().map(|metadata| metadata.len()).unwrap_or_default()
}
