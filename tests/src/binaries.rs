//! Finds the project's binaries: beside the tests' own, or in the directory that `TRACKYARD_BINARIES` names.

use std::path::PathBuf;

/// Returns the path of a binary of this workspace.
///
/// # Panics
/// When the binary was not built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let path = dir().join(name);
    assert!(
        path.is_file(),
        "there is no {}; build it with `cargo build --workspace --all-targets --all-features`",
        path.display()
    );
    path
}

fn dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("TRACKYARD_BINARIES") {
        return dir.into();
    }
    let own = std::env::current_exe().expect("the path of this executable");
    let dir = own.parent().expect("the directory of this executable");
    // Test executables are one directory below the binaries, in `deps`.
    if dir.ends_with("deps") { dir.join("..") } else { dir.to_owned() }
}

/// Returns the path of a program of the system.
///
/// # Panics
/// When the program is missing; the message names the package to install.
#[must_use]
pub fn system(name: &str, package: &str) -> PathBuf {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"]
        .iter()
        .map(|dir| PathBuf::from(dir).join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!("{name} is missing; install Debian's package {package}, or run `make setup`")
        })
}

/// Fails the test unless it runs as root.
///
/// # Panics
/// When the user is not root.
pub fn require_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test runs containers, which needs root; run `make test`, which uses sudo for it"
    );
}
