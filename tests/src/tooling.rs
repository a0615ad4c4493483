//! Creates a tooling repository with the real git.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::binaries::system;
use crate::config::Config;
use crate::stage::Stage;
use crate::worker::WorkerOptions;

/// The beginning of a Dockerfile that installs a shell; tests append to it.
pub const SHELL: &str = "FROM scratch
COPY busybox /bin/busybox
RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]
COPY bin /opt/test-runner/bin
";
/// A result with the status `pass`.
pub const PASSED: &str = r#"{"version": 2, "status": "pass", "tests": []}"#;

/// A git repository of tooling.
pub struct ToolingRepository {
    dir: PathBuf,
}

impl ToolingRepository {
    /// Creates the repository of a track's test runner, with a Dockerfile and an entry script that passes.
    ///
    /// # Panics
    /// When git or busybox are missing.
    #[must_use]
    pub fn new(stage: &Stage, track: &str) -> Self {
        Self::in_dir(&repositories(stage), track)
    }

    /// Creates the same repository below a directory.
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

    /// Writes an executable file.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        let file = self.dir.join(name);
        fs::create_dir_all(file.parent().unwrap_or(&self.dir)).expect("a directory");
        fs::write(&file, text).expect("write a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("make it executable");
    }

    /// Commits everything. Returns the commit's hash.
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

    /// Runs git in the repository. Returns what it prints.
    ///
    /// # Panics
    /// When git fails.
    pub fn git(&self, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@example.org", "-C"]);
        let output = command.arg(&self.dir).args(args).output();
        let output = output.expect("git is missing; run `make setup`");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Returns the repository's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

fn repositories(stage: &Stage) -> PathBuf {
    stage.path("repositories")
}

/// Returns a configuration whose builders fetch from this stage, with small limits.
///
/// # Panics
/// When the directory of images cannot be created.
#[must_use]
pub fn config(stage: &Stage) -> Config {
    fs::create_dir_all(stage.images().dir()).expect("the directory of images");
    let url = format!("file://{}/{{repository}}", repositories(stage).display());
    let limits = json!({"wall": "60s", "idle": "8s", "memory": "512Mi", "pids": 128, "disk": "200Mi"});
    stage.config().set(&["source", "url"], json!(url)).set(&["builds"], limits)
}

/// Returns the options of a builder with a driver.
///
/// # Panics
/// When the directory of the drivers' programs is unknown.
#[must_use]
pub fn builder(name: &str, driver: &str) -> WorkerOptions {
    let tools = tools().display().to_string();
    WorkerOptions::new(name).channel("builders").flags(&["--driver", driver, "--tools", &tools])
}

/// Returns the directory of the drivers' programs.
///
/// # Panics
/// When neither `TRACKYARD_TOOLS` nor `HOME` is set.
#[must_use]
pub fn tools() -> PathBuf {
    let tools = std::env::var_os("TRACKYARD_TOOLS").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME").map(PathBuf::from)?;
        Some(home.join(".cache/trackyard/tools"))
    });
    tools.expect("HOME or TRACKYARD_TOOLS")
}

/// Returns a request to build a track's test runner.
#[must_use]
pub fn build(track: &str, reference: &str) -> Value {
    json!({
        "action": "build_container", "channel": "test_runners", "track_slug": track, "git_reference": reference
    })
}
