//! Checks of the machine that need no sandbox.

use std::path::Path;

use rustix::fs::statvfs;
use rustix::system::uname;
use strum::IntoEnumIterator;
use tokio::runtime::Runtime;
use trackyard_builder::driver::{self, DriverKind, Tools};

use super::{Check, Finding};

/// Recommended free bytes: the layers of a few languages take this much.
const MIN_DISK_BYTES: u64 = 10 << 30;
/// The first kernel that can id-map the layers of an overlay.
const MIN_KERNEL: (u32, u32) = (5, 19);
/// The first libzmq whose CURVE the worker can use.
const MIN_ZMQ: (i32, i32, i32) = (4, 3, 4);

pub(super) fn checks(workdir: &Path) -> Vec<Check> {
    vec![
        ("kernel", kernel(&uname().release().to_string_lossy())),
        ("overlay", overlay(&std::fs::read_to_string("/proc/filesystems").unwrap_or_default())),
        ("libzmq", libzmq(zmq::version(), zmq::has("curve").unwrap_or(false))),
        ("disk", disk(free_bytes(workdir))),
    ]
}

fn kernel(release: &str) -> Finding {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let mut number = || numbers.next().and_then(Result::ok);
    let (major, minor) = MIN_KERNEL;
    match (number(), number()) {
        (Some(a), Some(b)) if (a, b) >= MIN_KERNEL => Finding::Good(release.to_owned()),
        (Some(_), Some(_)) => Finding::Warning(format!(
            "{release} may not map the owners of an image's files; update to {major}.{minor} or newer"
        )),
        _ => Finding::Warning(format!("{release} is not understood; {major}.{minor} or newer is needed")),
    }
}

fn overlay(filesystems: &str) -> Finding {
    if filesystems.lines().any(|line| line.split_whitespace().last() == Some("overlay")) {
        return Finding::Good("the kernel has it".to_owned());
    }
    // It may be a module that the first mount loads: a later check makes that mount.
    Finding::Warning("not loaded; if mounting fails below: modprobe overlay".to_owned())
}

fn libzmq(version: (i32, i32, i32), curve: bool) -> Finding {
    let (a, b, c) = version;
    if version < MIN_ZMQ {
        return Finding::Bad(format!("{a}.{b}.{c} is too old; install libzmq 4.3.4 or newer"));
    }
    if !curve {
        let text = format!("{a}.{b}.{c} has no CURVE, so no encryption; install a libzmq with libsodium");
        return Finding::Warning(text);
    }
    Finding::Good(format!("{a}.{b}.{c} with CURVE"))
}

/// Returns the free bytes of the file system that holds, or will hold, the work directory.
fn free_bytes(workdir: &Path) -> Option<u64> {
    let absolute = std::path::absolute(workdir).ok()?;
    let existing = absolute.ancestors().find(|dir| dir.is_dir())?;
    let stat = statvfs(existing).ok()?;
    stat.f_bavail.checked_mul(stat.f_frsize)
}

fn disk(free: Option<u64>) -> Finding {
    match free {
        None => Finding::Bad(
            "the work directory's file system cannot be read; choose another directory".to_owned(),
        ),
        Some(free) if free < MIN_DISK_BYTES => Finding::Warning(format!(
            "{} Mi are free for images; 10 Gi and more are better: choose another directory, or make room",
            free >> 20
        )),
        Some(free) => Finding::Good(format!("{} Gi are free for images", free >> 30)),
    }
}

/// Checks which drivers a builder could use here. A machine without any can still run jobs.
pub(super) fn drivers(tools: Option<&Path>) -> Vec<Check> {
    let tools = Tools { dir: tools.map(Path::to_owned), ..Tools::default() };
    let Ok(runtime) = Runtime::new() else { return Vec::new() };
    DriverKind::iter().map(|kind| (driver_name(kind), runtime.block_on(probe(kind, &tools)))).collect()
}

async fn probe(kind: DriverKind, tools: &Tools) -> Finding {
    match driver::open(kind, tools, Path::new("/nonexistent")).probe().await {
        Ok(version) => Finding::Good(version),
        Err(unusable) => Finding::Warning(format!("builders cannot use it: {unusable}")),
    }
}

const fn driver_name(kind: DriverKind) -> &'static str {
    match kind {
        DriverKind::Img => "driver img",
        DriverKind::Buildkit => "driver buildkit",
        DriverKind::Buildah => "driver buildah",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("6.18.0-1-amd64", true)]
    #[case("5.19.0", true)]
    #[case("5.4.0-generic", false)]
    #[case("strange", false)]
    fn kernels(#[case] release: &str, #[case] good: bool) {
        assert_eq!(matches!(kernel(release), Finding::Good(_)), good);
    }

    #[test]
    fn findings_name_the_remedy() {
        assert!(matches!(libzmq((4, 2, 0), true), Finding::Bad(text) if text.contains("install")));
        assert!(matches!(libzmq((4, 3, 5), false), Finding::Warning(text) if text.contains("CURVE")));
        assert!(matches!(disk(Some(1 << 30)), Finding::Warning(_)));
        assert!(matches!(disk(None), Finding::Bad(_)));
        assert!(matches!(overlay("nodev\ttmpfs\nnodev\toverlay\n"), Finding::Good(_)));
    }
}
