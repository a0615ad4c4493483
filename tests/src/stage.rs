//! A folder with what a scenario of real containers needs: tooling images and submissions.

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
    folder: TempDir,
    images: Layout,
}

impl Stage {
    /// An empty one.
    ///
    /// # Panics
    /// When there is no room for it.
    #[must_use]
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a folder for the scenario");
        fs::create_dir_all(folder.path().join("submissions")).expect("the submissions' folder");
        let images = Layout::at(&folder.path().join("images"));
        Self { folder, images }
    }

    /// The folder of image layouts.
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
        let folder = self.submissions().join(name);
        fs::create_dir_all(&folder).expect("a submission's folder");
        for (path, content) in files {
            let file = folder.join(path);
            fs::create_dir_all(file.parent().unwrap_or(&folder)).expect("a submission's folder");
            fs::write(file, content).expect("write a submission");
        }
        format!("file://{}", folder.display())
    }

    /// The folder from which submissions may come.
    #[must_use]
    pub fn submissions(&self) -> PathBuf {
        self.folder.path().join("submissions")
    }

    /// A folder for things of the test's own.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A configuration with this stage's images and submissions.
    #[must_use]
    pub fn config(&self) -> Config {
        Config::layout(self.images.folder()).folder(&self.submissions())
    }

    /// The stage's own folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}
