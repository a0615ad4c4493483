//! The environment in which a page is followed: a network and a home directory of its own, and a git configuration that
//! clones this working tree.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::page::repository;
use super::session::{Session, SessionOptions};
use crate::binaries::system;
use crate::cluster;
use crate::wait::slowness;

/// The source's URL in the pages.
const ORIGIN: &str = "https://github.com/trackyard/trackyard.git";
/// Timeout of one command of a page; `make demo` builds images.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// Paths outside of the scratch directory that a page creates, and removes at its end.
const OUTSIDE_PATHS: [&str; 2] = ["/tmp/awk", "/tmp/tooling"];
/// Programs that the pages run from `target/quick`.
const PROGRAMS: [&str; 3] = ["trackyard", "trackyard-router", "trackyard-worker"];

/// A network namespace with only a loopback interface.
#[derive(Debug)]
pub struct Network(String);

impl Network {
    /// Creates a network.
    ///
    /// # Panics
    /// When it cannot be created.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let network = Self(format!("trackyard-docs-{name}-{}", std::process::id()));
        network.ip(&["netns", "add", &network.0]);
        network.ip(&["-n", &network.0, "link", "set", "lo", "up"]);
        network
    }

    /// Returns the command that runs a program in the network.
    #[must_use]
    pub fn enter_network(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net=/run/netns/{}", self.0)]
    }

    fn ip(&self, args: &[&str]) {
        let done = Command::new(system("ip", "iproute2")).args(args).status();
        assert!(done.is_ok_and(|status| status.success()), "ip {args:?} for {}", self.0);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// The environment in which a page is followed.
#[derive(Debug)]
pub struct Scratch {
    dir: TempDir,
    /// The paths of [`OUTSIDE_PATHS`] that did not exist before.
    created_outside: Vec<&'static Path>,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for path in &self.created_outside {
            let _ = fs::remove_dir_all(path);
        }
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Scratch {
    /// Creates the environment.
    ///
    /// # Panics
    /// When its files cannot be written.
    #[must_use]
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("trackyard-docs-").tempdir().expect("a directory");
        // The users of jobs read images.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("open the directory");
        let created_outside =
            OUTSIDE_PATHS.map(Path::new).into_iter().filter(|path| !path.exists()).collect();
        let scratch = Self { dir, created_outside };
        for name in ["bin", "files", "work", "home/.cache/trackyard"] {
            fs::create_dir_all(scratch.path(name)).expect("a directory");
        }
        scratch.program(
            "sudo",
            "while case ${1:-} in -*) true ;; *) false ;; esac; do shift; done\nexec \"$@\"",
        );
        scratch.share_cache();
        scratch.snapshot();
        scratch
    }

    /// Returns a path in the scratch directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Adds a script to the first directory of `PATH`.
    ///
    /// # Panics
    /// When the script cannot be written.
    pub fn program(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("write a program");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("make it executable");
    }

    /// Clones the source, for a page that begins in the clone.
    ///
    /// # Panics
    /// When git fails.
    pub fn clone_source(&self) {
        let mut clone = Command::new("git");
        clone.args(["clone", "--quiet", ORIGIN]).current_dir(self.path("work"));
        let done = clone.env_clear().envs(self.variables()).status();
        assert!(done.is_ok_and(|status| status.success()), "git clone");
        self.link_programs();
    }

    /// Links the programs that `make demo` would compile, if there is a clone without them.
    ///
    /// # Panics
    /// When they cannot be linked.
    pub fn link_programs(&self) {
        let target = self.path("work/trackyard/target");
        if !self.path("work/trackyard").exists() || target.exists() {
            return;
        }
        for dir in ["quick", "images"] {
            fs::create_dir_all(target.join(dir)).expect("a directory");
        }
        for name in PROGRAMS {
            let to = target.join("quick").join(name);
            // `trackyard local` looks for the other programs beside itself.
            fs::hard_link(programs().join(name), &to)
                .or_else(|_| fs::copy(programs().join(name), &to).map(drop))
                .expect("link a program");
        }
        // The images hold the same programs, so that `make images` has nothing to build.
        for file in product_images().and_then(|dir| fs::read_dir(dir).ok()).into_iter().flatten().flatten() {
            let _ = symlink(file.path(), target.join("images").join(file.file_name()));
        }
    }

    /// Starts a shell in a network, in the clone if there is one.
    #[must_use]
    pub fn session(&self, enter: Vec<String>) -> Session {
        let clone = self.path("work/trackyard");
        Session::start(SessionOptions {
            enter,
            variables: self.variables(),
            directory: if clone.exists() { clone } else { self.path("work") },
            files: self.path("files"),
            command_timeout: COMMAND_TIMEOUT * slowness(),
        })
    }

    /// Returns all environment variables.
    #[must_use]
    pub fn variables(&self) -> Vec<(String, String)> {
        let own = |name: &str| std::env::var(name).ok().map(|value| (name.to_owned(), value));
        let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into()));
        let real = |name: &str, default: &str| {
            let value = std::env::var(name).unwrap_or_else(|_| home.join(default).display().to_string());
            (name.to_owned(), value)
        };
        let set = |name: &str, value: String| (name.to_owned(), value);
        let path = std::env::var("PATH").unwrap_or_default();
        let source = format!("url.{}.insteadOf", self.path("source.git").display());
        let mut variables = vec![
            set("PATH", format!("{}:{path}:/usr/sbin:/sbin", self.path("bin").display())),
            set("HOME", self.path("home").display().to_string()),
            set("LANG", "C.UTF-8".to_owned()),
            real("CARGO_HOME", ".cargo"),
            real("RUSTUP_HOME", ".rustup"),
            real("TRACKYARD_TOOLS", ".cache/trackyard/tools"),
            real("TRACKYARD_CLUSTER_BIN", ".cache/trackyard/cluster"),
            set("PROGRAMS", programs().display().to_string()),
            set("GIT_CONFIG_COUNT", "2".to_owned()),
            set("GIT_CONFIG_KEY_0", source),
            set("GIT_CONFIG_VALUE_0", ORIGIN.to_owned()),
            // The checkout may belong to another user than root.
            set("GIT_CONFIG_KEY_1", "safe.directory".to_owned()),
            set("GIT_CONFIG_VALUE_1", "*".to_owned()),
        ];
        for role in ["AUTHOR", "COMMITTER"] {
            variables.push(set(&format!("GIT_{role}_NAME"), "A reader".to_owned()));
            variables.push(set(&format!("GIT_{role}_EMAIL"), "reader@example.org".to_owned()));
        }
        variables.extend(
            ["TRACKYARD_TEST_IMAGES", "TRACKYARD_PRODUCT_IMAGES", "USER"].into_iter().filter_map(own),
        );
        variables
    }

    /// Links caches that would take minutes to fill again: base images, the cluster's programs.
    fn share_cache(&self) {
        let own = std::env::var_os("TRACKYARD_CACHE").map(PathBuf::from);
        let caches = own.into_iter().chain([cluster::cache()]);
        let cached = caches.filter_map(|cache| fs::read_dir(cache).ok()).flatten().flatten();
        let here = self.path("home/.cache/trackyard");
        for entry in cached.filter(|entry| !matches!(entry.file_name().to_str(), Some("demo" | "clusters"))) {
            // The first of two caches with the same entry wins.
            let _ = symlink(entry.path(), here.join(entry.file_name()));
        }
    }

    /// Creates a repository with one commit: the working tree, including uncommitted changes.
    fn snapshot(&self) {
        let source = self.path("source.git");
        let objects = source.join("objects");
        let git = |args: &[&str]| {
            let output = Command::new("git")
                .args(args)
                .current_dir(repository())
                .envs(self.variables())
                .env("GIT_INDEX_FILE", self.path("index"))
                .env("GIT_OBJECT_DIRECTORY", &objects)
                .output()
                .expect("run git");
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "git {args:?}: {error}");
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        let source = source.display().to_string();
        let _ = git(&["init", "--quiet", "--bare", "--initial-branch=main", &source]);
        let _ = git(&["add", "--all"]);
        let tree = git(&["write-tree"]);
        let commit = git(&["commit-tree", &tree, "-m", "The working tree"]);
        let _ = git(&["--git-dir", &source, "update-ref", "refs/heads/main", &commit]);
    }
}

/// Returns the directory of the compiled programs.
fn programs() -> PathBuf {
    let program = crate::binaries::binary("trackyard").canonicalize().expect("a program");
    program.parent().expect("a program's directory").to_owned()
}

fn product_images() -> Option<PathBuf> {
    std::env::var_os("TRACKYARD_PRODUCT_IMAGES").map(PathBuf::from)
}
