//! A tooling repository, made on the spot with the real git.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::binaries::system;
use crate::config::Config;
use crate::stage::Stage;
use crate::worker::Options;

/// A Dockerfile of a shell from nothing, before what the test adds.
pub const SHELL: &str = "FROM scratch
COPY busybox /bin/busybox
RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]
COPY bin /opt/test-runner/bin
";
/// A result that says that it passed.
pub const PASSED: &str = r#"{"version": 2, "status": "pass", "tests": []}"#;

/// A repository.
pub struct Tooling {
    dir: PathBuf,
}

impl Tooling {
    /// The repository of a track's test runner, with a Dockerfile that can be built and an entry script that passes.
    ///
    /// # Panics
    /// When git or busybox are missing.
    #[must_use]
    pub fn new(stage: &Stage, track: &str) -> Self {
        Self::in_dir(&repositories(stage), track)
    }

    /// The same, below a directory.
    ///
    /// # Panics
    /// When git or busybox are missing.
    #[must_use]
    pub fn in_dir(dir: &Path, track: &str) -> Self {
        let tooling = Self { dir: dir.join(format!("{track}-test-runner")) };
        fs::create_dir_all(&tooling.dir).expect("the repository's directory");
        tooling.git(&["init", "--quiet", "--initial-branch=main"]);
        let busybox = system("busybox", "busybox-static");
        fs::copy(busybox, tooling.dir.join("busybox")).expect("copy busybox");
        tooling.write("Dockerfile", SHELL);
        tooling.write("bin/run.sh", &format!("#!/bin/sh\necho '{PASSED}' > \"$3/results.json\"\n"));
        tooling.commit();
        tooling
    }

    /// Writes a file that may be run.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn write(&self, name: &str, text: &str) {
        let file = self.dir.join(name);
        fs::create_dir_all(file.parent().unwrap_or(&self.dir)).expect("a directory");
        fs::write(&file, text).expect("write a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("make it runnable");
    }

    /// Commits everything; gives the sha.
    ///
    /// # Panics
    /// When git refuses.
    #[must_use]
    pub fn commit_all(&self) -> String {
        self.commit();
        self.git(&["rev-parse", "HEAD"])
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=x"]);
    }

    /// Runs git there.
    ///
    /// # Panics
    /// When it fails.
    pub fn git(&self, words: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@example.org", "-C"]);
        let output = command.arg(&self.dir).args(words).output();
        let output = output.expect("git is missing; run `make setup`");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

fn repositories(stage: &Stage) -> PathBuf {
    stage.path("repositories")
}

/// A configuration whose builders fetch from this stage, and may take little.
///
/// # Panics
/// When the directory of images cannot be made.
#[must_use]
pub fn config(stage: &Stage) -> Config {
    fs::create_dir_all(stage.images().dir()).expect("the directory of images");
    let url = format!("file://{}/{{repository}}", repositories(stage).display());
    let limits = json!({"wall": "60s", "idle": "8s", "memory": "512Mi", "pids": 128, "disk": "200Mi"});
    stage.config().set(&["source", "url"], json!(url)).set(&["builds"], limits)
}

/// A builder with a driver.
///
/// # Panics
/// When the driver's programs are nowhere.
#[must_use]
pub fn builder(name: &str, driver: &str) -> Options {
    let tools = tools().display().to_string();
    Options::new(name).channel("builders").flags(&["--driver", driver, "--tools", &tools])
}

/// The directory of the drivers' programs.
///
/// # Panics
/// When it is nowhere named.
#[must_use]
pub fn tools() -> PathBuf {
    let tools = std::env::var_os("TRACKYARD_TOOLS").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME").map(PathBuf::from)?;
        Some(home.join(".cache/trackyard/tools"))
    });
    tools.expect("HOME or TRACKYARD_TOOLS")
}

/// A request to build a track's test runner.
#[must_use]
pub fn build(track: &str, reference: &str) -> Value {
    json!({
        "action": "build_container", "channel": "test_runners", "track_slug": track, "git_reference": reference
    })
}
