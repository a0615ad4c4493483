//! Images as a build driver leaves them: a layout directory with one image.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::image::{Image, Layer};
use crate::layout::Layout;

const NAME: &str = "built";

/// A built image in a directory of its own.
pub struct Built {
    dir: TempDir,
    digest: String,
}

impl Built {
    /// Any image.
    ///
    /// # Panics
    /// When the directory can't be written.
    #[must_use]
    pub fn of(image: &Image) -> Self {
        let dir = TempDir::new().expect("a directory for a built image");
        let digest = Layout::at(dir.path()).add(NAME, "built", image);
        Self { dir, digest }
    }

    /// A small one; another `word`, another digest.
    #[must_use]
    pub fn small(word: &str) -> Self {
        Self::of(&Image::tooling("test_runners", &format!("echo {word}")))
    }

    /// One with a layer of so many bytes that no compression makes smaller.
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

    /// The layout directory.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.path().join(NAME)
    }

    /// The manifest's digest.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The file of a blob.
    #[must_use]
    pub fn blob(&self, digest: &str) -> PathBuf {
        Layout::at(self.dir.path()).blob(NAME, digest)
    }

    /// The blobs' files, the largest first.
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
