//! The OCI runtime configuration of a job's container. Pure.

use std::io;
use std::path::{Path, PathBuf};

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Capabilities, Linux, LinuxBuilder, LinuxCapabilitiesBuilder, LinuxIdMapping, LinuxIdMappingBuilder,
    LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType, Mount, MountBuilder, PosixRlimit,
    PosixRlimitBuilder, PosixRlimitType, Process, ProcessBuilder, RootBuilder, Spec, SpecBuilder,
    UserBuilder,
};
use trackyard_protocol::limits::Limits;

use super::entry::JOB_DIR;
use super::seccomp;

const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const MAX_OPEN_FILES: u64 = 1024;
const STACK_BYTES: u64 = 8 << 20;
const MASKED_PATHS: [&str; 10] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];
const READ_ONLY_PATHS: [&str; 6] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/proc/cgroups"];

/// The parameters of a container that differ from job to job.
pub(crate) struct ContainerParams<'a> {
    pub(crate) rootfs: &'a Path,
    pub(crate) job_dir: &'a Path,
    pub(crate) tmp: &'a Path,
    pub(crate) argv: Vec<String>,
    pub(crate) working_dir: &'a str,
    /// The image's environment.
    pub(crate) env: &'a [String],
    /// The id of the container's root on the machine, and the number of ids from there on.
    pub(crate) ids: (u32, u32),
    pub(crate) cgroup: String,
    pub(crate) limits: &'a Limits,
}

/// Returns the configuration that `runc` reads.
pub(crate) fn spec(container: &ContainerParams<'_>) -> io::Result<Spec> {
    build(container).map_err(io::Error::other)
}

fn build(container: &ContainerParams<'_>) -> Result<Spec, OciSpecError> {
    let root = RootBuilder::default().path(container.rootfs).readonly(true).build()?;
    SpecBuilder::default()
        .version("1.0.2")
        .root(root)
        .hostname("trackyard")
        .process(process(container)?)
        .mounts(mounts(container)?)
        .linux(linux(container)?)
        .build()
}

fn process(container: &ContainerParams<'_>) -> Result<Process, OciSpecError> {
    let none = Capabilities::default;
    let capabilities = LinuxCapabilitiesBuilder::default()
        .bounding(none())
        .effective(none())
        .inheritable(none())
        .permitted(none())
        .ambient(none())
        .build()?;
    ProcessBuilder::default()
        .terminal(false)
        .user(UserBuilder::default().uid(0_u32).gid(0_u32).build()?)
        .args(container.argv.clone())
        .env(environment(container.env))
        .cwd(container.working_dir)
        .capabilities(capabilities)
        .rlimits(rlimits(container.limits)?)
        .no_new_privileges(true)
        .build()
}

/// Returns the image's environment without entries that are not `NAME=value`, and with a path and a home.
fn environment(image: &[String]) -> Vec<String> {
    let mut env: Vec<String> = image.iter().filter(|entry| is_well_formed(entry)).cloned().collect();
    for default in [DEFAULT_PATH, "HOME=/tmp"] {
        let name = default.split_inclusive('=').next().unwrap_or(default);
        if !env.iter().any(|entry| entry.starts_with(name)) {
            env.push(default.to_owned());
        }
    }
    env
}

fn is_well_formed(entry: &str) -> bool {
    let has_name = entry.split_once('=').is_some_and(|(name, _)| !name.is_empty());
    has_name && !entry.contains('\0')
}

fn rlimits(limits: &Limits) -> Result<Vec<PosixRlimit>, OciSpecError> {
    use PosixRlimitType::{RlimitCore, RlimitFsize, RlimitNice, RlimitNofile, RlimitRtprio, RlimitStack};
    let limit = |typ, value: u64| PosixRlimitBuilder::default().typ(typ).soft(value).hard(value).build();
    Ok(vec![
        limit(RlimitNofile, MAX_OPEN_FILES)?,
        limit(RlimitCore, 0)?,
        limit(RlimitFsize, limits.file_size.0)?,
        // Inherited from the worker, these limits could let a job run before all others without any capability.
        limit(RlimitRtprio, 0)?,
        limit(RlimitNice, 0)?,
        // The hard limit is higher, because some languages' runtimes raise the soft one for their main thread.
        PosixRlimitBuilder::default()
            .typ(RlimitStack)
            .soft(STACK_BYTES)
            .hard(limits.memory.0.max(STACK_BYTES))
            .build()?,
    ])
}

fn mounts(container: &ContainerParams<'_>) -> Result<Vec<Mount>, OciSpecError> {
    let restricted = ["nosuid", "noexec", "nodev"];
    Ok(vec![
        mount("/proc", "proc", "proc", &restricted)?,
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"])?,
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        )?,
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"])?,
        mount("/dev/mqueue", "mqueue", "mqueue", &restricted)?,
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"])?,
        bind(JOB_DIR, container.job_dir)?,
        bind("/tmp", container.tmp)?,
    ])
}

fn mount(at: &str, kind: &str, source: &str, options: &[&str]) -> Result<Mount, OciSpecError> {
    MountBuilder::default()
        .destination(at)
        .typ(kind)
        .source(source)
        .options(options.iter().map(ToString::to_string).collect::<Vec<_>>())
        .build()
}

fn bind(at: &str, source: &Path) -> Result<Mount, OciSpecError> {
    let options = ["bind", "rw", "nosuid", "nodev", "private"].map(ToOwned::to_owned);
    MountBuilder::default()
        .destination(at)
        .typ("bind")
        .source(PathBuf::from(source))
        .options(options.to_vec())
        .build()
}

fn linux(container: &ContainerParams<'_>) -> Result<Linux, OciSpecError> {
    LinuxBuilder::default()
        .uid_mappings(vec![mapping(container.ids)?])
        .gid_mappings(vec![mapping(container.ids)?])
        .namespaces(namespaces()?)
        .cgroups_path(&container.cgroup)
        // The group has its limits already. `runc` only joins it.
        .masked_paths(MASKED_PATHS.map(ToOwned::to_owned).to_vec())
        .readonly_paths(READ_ONLY_PATHS.map(ToOwned::to_owned).to_vec())
        .seccomp(seccomp::filter().map_err(OciSpecError::Io)?)
        .build()
}

fn mapping((base, count): (u32, u32)) -> Result<LinuxIdMapping, OciSpecError> {
    LinuxIdMappingBuilder::default().container_id(0_u32).host_id(base).size(count).build()
}

fn namespaces() -> Result<Vec<LinuxNamespace>, OciSpecError> {
    use LinuxNamespaceType::{Cgroup, Ipc, Mount, Network, Pid, User, Uts};
    [Pid, Ipc, Uts, Mount, Network, User, Cgroup]
        .into_iter()
        .map(|typ| LinuxNamespaceBuilder::default().typ(typ).build())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn the_whole_configuration() {
        let limits = Limits::default();
        let container = ContainerParams {
            rootfs: Path::new("/run/trackyard/mnt/slot-0/rootfs"),
            job_dir: Path::new("/run/trackyard/mnt/slot-0/job"),
            tmp: Path::new("/run/trackyard/mnt/slot-0/tmp"),
            argv: vec!["bin/run.sh".to_owned(), "two-fer".to_owned()],
            working_dir: "/opt/test-runner",
            env: &["LANG=C.UTF-8".to_owned()],
            ids: (0x7000_0000, 65_536),
            cgroup: "trackyard-worker/slot-0/job".to_owned(),
            limits: &limits,
        };
        insta::assert_json_snapshot!(spec(&container).unwrap());
    }

    #[rstest]
    #[case(&[], &[DEFAULT_PATH, "HOME=/tmp"])]
    #[case(&["PATH=/x", "HOME=/root"], &["PATH=/x", "HOME=/root"])]
    #[case(&["=x", "novalue", "A=b\0c", "EMPTY="], &["EMPTY=", DEFAULT_PATH, "HOME=/tmp"])]
    #[case(&["PATHS=/x"], &["PATHS=/x", DEFAULT_PATH, "HOME=/tmp"])]
    fn environment_gets_defaults(#[case] image: &[&str], #[case] expected: &[&str]) {
        let image: Vec<String> = image.iter().map(ToString::to_string).collect();
        assert_eq!(environment(&image), expected);
    }
}
