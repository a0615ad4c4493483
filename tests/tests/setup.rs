//! `.ci/setup` on incomplete machines: it ends with one line that names the remedy, and changes nothing.
#![cfg(test)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use e2e::binaries::{require_root, system};
use rstest::rstest;
use tempfile::TempDir;

/// A machine on which `.ci/setup` finds only these programs, some of them stubs.
struct Machine {
    dir: TempDir,
}

impl Machine {
    /// Creates a machine that lacks packages and can install them.
    fn new() -> Self {
        let machine = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(machine.dir.path().join("bin")).unwrap();
        for name in ["bash", "env", "sed", "awk", "grep", "sort", "dirname", "tail", "cat"] {
            symlink(system(name, "coreutils"), machine.program(name)).unwrap();
        }
        let changed = machine.changed().display().to_string();
        machine
            .with("cargo", "case $1 in --version) echo cargo 99.0.0 ;; esac")
            .with("uname", "echo 6.1.0-13-amd64")
            .with("df", "echo Avail; echo 900000000")
            .with("id", "echo 0")
            .with("runc", "echo runc version 1.1.5")
            .with("apt-cache", "true")
            .with("apt-get", &format!("echo \"$@\" >>{changed}"))
    }

    fn program(&self, name: &str) -> PathBuf {
        self.dir.path().join("bin").join(name)
    }

    fn changed(&self) -> PathBuf {
        self.dir.path().join("changed")
    }

    fn with(self, name: &str, script: &str) -> Self {
        let path = self.program(name);
        let _ = fs::remove_file(&path);
        fs::write(&path, format!("#!{}\n{script}\n", system("bash", "bash").display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn without(self, name: &str) -> Self {
        fs::remove_file(self.program(name)).unwrap();
        self
    }

    fn set_up(&self, part: &str) -> Output {
        let mut command = Command::new(script());
        command.arg(part);
        self.run(command)
    }

    fn run(&self, mut command: Command) -> Output {
        command.env("PATH", self.dir.path().join("bin")).env_remove("PROGRAMS");
        command.env("CARGO_TARGET_DIR", self.dir.path().join("target")).output().unwrap()
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/setup")
}

fn log(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[rstest]
#[case::no_rust(Machine::new().without("cargo"), "cargo is missing. Install Rust with rustup")]
#[case::old_rust(Machine::new().with("cargo", "echo cargo 1.70.0"), "Rust 1.70.0 is too old. Install ")]
#[case::old_kernel(Machine::new().with("uname", "echo 5.4.0-150-generic"), "jobs need 5.19 or newer")]
#[case::no_overlay(Machine::new().with("grep", "exit 1"), "Install a kernel with the module overlay")]
#[case::old_runc(Machine::new().with("runc", "echo runc version 1.0.3"), "runc 1.0.3 is too old. Install runc 1.1")]
#[case::little_disk(Machine::new().with("df", "echo Avail; echo 2000000"), "has 1 GiB of free disk; 4 GiB are needed")]
#[case::no_apt(Machine::new().without("apt-get"), "neither Debian nor Ubuntu. Install what has these names there: ")]
#[case::no_root(Machine::new().with("id", "echo 1000"), "not root, and there is no sudo. Run as root: apt-get install")]
#[case::no_network(
    Machine::new().with("cargo", "case $1 in fetch) exit 101 ;; *) echo cargo 99.0.0 ;; esac"),
    "cannot be downloaded; check the network"
)]
fn incomplete_machine_is_refused_unchanged(#[case] machine: Machine, #[case] remedy: &str) {
    let output = machine.set_up("demo");
    let log = log(&output);
    assert_eq!(output.status.code(), Some(1), "{log}");
    let last = log.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("setup: ") && last.contains(remedy) && last.ends_with("Nothing was changed."),
        "{log}"
    );
    assert!(!machine.changed().exists(), "{log}");
}

#[test]
fn missing_packages_are_explained_and_installed() {
    let machine = Machine::new();
    let output = machine.set_up("demo");
    let log = log(&output);
    assert!(output.status.success(), "{log}");
    assert!(log.contains("GiB of disk") && log.contains("buildah: builds container images"), "{log}");
    let changed = fs::read_to_string(machine.changed()).unwrap();
    assert!(changed.contains("install") && changed.contains("mmdebstrap"), "{changed}");
    for not_for_the_demo in ["docker-registry", "apache2", "openssh", "containerd", "shellcheck", "umoci"] {
        assert!(!changed.contains(not_for_the_demo), "{changed}");
    }
}

/// The directory of Go's own installer is hidden.
#[rstest]
fn missing_go_is_refused(#[values("cluster", "images", "test")] part: &str) {
    require_root();
    let machine = Machine::new();
    let hide = "[ ! -d /usr/local/go ] || /bin/mount -t tmpfs none /usr/local/go; exec \"$0\" \"$@\"";
    let mut command = Command::new(system("unshare", "util-linux"));
    command.args(["--mount", "/bin/sh", "-c", hide]).arg(script()).arg(part);
    let output = machine.run(command);
    let log = log(&output);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("go is missing, which compiles Kubernetes"), "{log}");
    assert!(!machine.changed().exists(), "{log}");
}

#[test]
fn unknown_part_is_refused() {
    let output = Machine::new().set_up("everything");
    assert_eq!(output.status.code(), Some(2));
    assert!(log(&output).contains("there are: demo build images lint cluster test bench"));
}
