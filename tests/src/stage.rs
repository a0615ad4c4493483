//! A directory with tooling images and submissions, for tests with real containers.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::config::Config;
use crate::image::Image;
use crate::layout::Layout;
use crate::request::version;

/// A test runner's script that runs the submission's `do.sh`.
pub const RUN_SUBMISSION: &str = "exec sh /mnt/exercism-iteration/do.sh";

/// The images and submissions of one test.
pub struct Stage {
    dir: TempDir,
    images: Layout,
}

impl Stage {
    /// Creates an empty stage.
    ///
    /// # Panics
    /// When its directory cannot be created.
    #[must_use]
    pub fn new() -> Self {
        let dir = TempDir::new().expect("a directory for the stage");
        fs::create_dir_all(dir.path().join("submissions")).expect("the submissions' directory");
        let images = Layout::at(&dir.path().join("images"));
        Self { dir, images }
    }

    /// Returns the directory of image layouts.
    #[must_use]
    pub fn images(&self) -> &Layout {
        &self.images
    }

    /// Adds the test runner of a track under the version `git-<digit × 40>`. Returns the version.
    pub fn test_runner(&self, track: &str, digit: char, script: &str) -> String {
        let image = Image::tooling("test_runners", script);
        self.images.add(&format!("{track}-test-runner"), &version(digit), &image);
        version(digit)
    }

    /// Stores a submission. Returns its `file://` URI.
    ///
    /// # Panics
    /// When the submission cannot be written.
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

    /// Returns the directory of the submissions.
    #[must_use]
    pub fn submissions(&self) -> PathBuf {
        self.dir.path().join("submissions")
    }

    /// Returns a path for other files of the test.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns a configuration with this stage's images and submissions.
    #[must_use]
    pub fn config(&self) -> Config {
        Config::layout(self.images.dir()).dir(&self.submissions())
    }

    /// Returns the stage's own directory.
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
