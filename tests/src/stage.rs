//! A directory with what a scenario of real containers needs: tooling images and submissions.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::config::Config;
use crate::image::Image;
use crate::layout::Layout;
use crate::request::version;

/// A script that does what the submission's `do.sh` says: the whole of it is the student's.
pub const OBEDIENT: &str = "exec sh /mnt/exercism-iteration/do.sh";

/// Images and submissions of one scenario.
pub struct Stage {
    dir: TempDir,
    images: Layout,
}

impl Stage {
    /// An empty one.
    ///
    /// # Panics
    /// When there is no room for it.
    #[must_use]
    pub fn new() -> Self {
        let dir = TempDir::new().expect("a directory for the scenario");
        fs::create_dir_all(dir.path().join("submissions")).expect("the submissions' directory");
        let images = Layout::at(&dir.path().join("images"));
        Self { dir, images }
    }

    /// The directory of image layouts.
    #[must_use]
    pub fn images(&self) -> &Layout {
        &self.images
    }

    /// Makes the test runner of a track, under the version `git-<digit × 40>`.
    pub fn test_runner(&self, track: &str, digit: char, script: &str) -> String {
        let image = Image::tooling("test_runners", script);
        self.images.add(&format!("{track}-test-runner"), &version(digit), &image);
        version(digit)
    }

    /// Stores a submission; gives its `file://` URI.
    ///
    /// # Panics
    /// When it can't be written.
    #[must_use]
    pub fn submission(&self, name: &str, files: &[(&str, &str)]) -> String {
        let dir = self.submissions().join(name);
        fs::create_dir_all(&dir).expect("a submission's directory");
        for (path, content) in files {
            let file = dir.join(path);
            fs::create_dir_all(file.parent().unwrap_or(&dir)).expect("a submission's directory");
            fs::write(file, content).expect("write a submission");
        }
        format!("file://{}", dir.display())
    }

    /// The directory from which submissions may come.
    #[must_use]
    pub fn submissions(&self) -> PathBuf {
        self.dir.path().join("submissions")
    }

    /// A directory for things of the test's own.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A configuration with this stage's images and submissions.
    #[must_use]
    pub fn config(&self) -> Config {
        Config::layout(self.images.dir()).dir(&self.submissions())
    }

    /// The stage's own directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}
