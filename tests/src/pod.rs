//! Runs a container as a node runs one of a privileged pod: with limits, in a cgroup below `kubepods`, and
//! without a cgroup namespace, so that it sees all cgroups. It shares the machine's network, so that it reaches a
//! router on loopback.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binaries::system;
use crate::cgroups;

/// Memory limit of a pod's container, in bytes.
pub const MEMORY_LIMIT: u64 = 1 << 30;
/// Directories of the machine that a container shares; symlinks are copied.
const SHARED_DIRS: [&str; 8] = ["/bin", "/sbin", "/lib", "/lib64", "/usr", "/etc", "/tmp", "/run/trackyard"];

/// A pod's container. Dropping it kills its processes and removes its cgroups.
pub struct Pod {
    id: String,
    group: String,
    dir: TempDir,
}

impl Pod {
    /// Prepares a container for this command; [`command`](Self::command) starts it.
    ///
    /// # Panics
    /// When its directories cannot be created.
    #[must_use]
    pub fn new(name: &str, command: &Command) -> Self {
        let dir = TempDir::new().expect("a directory for the pod");
        let unique = dir.path().file_name().unwrap_or_default().to_string_lossy().replace('.', "");
        let id = format!("{name}-{unique}");
        let group = format!("/kubepods/burstable/pod{unique}/{id}");
        let root = dir.path().join("root");
        let shared: Vec<Value> = shared_dirs(command).iter().filter_map(|path| share(&root, path)).collect();
        let config = configuration(&group, &root, command, &shared);
        fs::write(dir.path().join("config.json"), config.to_string()).expect("write a pod's configuration");
        Self { id, group, dir }
    }

    /// Returns the command that starts the container, and ends with it.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = self.runc(&["run", "--bundle"]);
        command.arg(self.dir.path()).arg(&self.id);
        command
    }

    /// Runs another command in the container.
    ///
    /// # Panics
    /// When runc cannot be run.
    #[must_use]
    pub fn exec(&self, args: &[&str]) -> Output {
        self.runc(&["exec", &self.id]).args(args).output().expect("run runc")
    }

    /// Returns the container's first process.
    ///
    /// # Panics
    /// When the container does not run.
    #[must_use]
    pub fn first_process(&self) -> u32 {
        let output = self.runc(&["state", &self.id]).output().expect("run runc");
        let state: Value = serde_json::from_slice(&output.stdout).expect("a running container's state");
        let pid = state.get("pid").and_then(Value::as_u64);
        pid.and_then(|pid| pid.try_into().ok()).expect("a process")
    }

    /// Returns the container's cgroup for a controller.
    #[must_use]
    pub fn group(&self, controller: &str) -> PathBuf {
        cgroups::dir(controller, &self.group)
    }

    fn runc(&self, args: &[&str]) -> Command {
        let mut command = Command::new(system("runc", "runc"));
        command.arg("--root").arg(self.dir.path().join("state")).args(args);
        command
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // The container is gone already unless the test failed.
        let _ = self.runc(&["delete", "--force", &self.id]).output();
        for mount in cgroups::mount_points() {
            let group = PathBuf::from(format!("{}{}", mount.display(), self.group));
            // The groups of the container, the pod and all pods; removing one that another pod uses fails.
            for dir in group.ancestors().take_while(|dir| *dir != mount) {
                let _ = fs::remove_dir(dir);
            }
        }
    }
}

fn shared_dirs(command: &Command) -> Vec<PathBuf> {
    let run = Path::new("/run/trackyard");
    fs::create_dir_all(run).expect("the workers' directory");
    let program = fs::canonicalize(command.get_program()).expect("the program of a pod");
    let own = program.parent().map(Path::to_owned);
    SHARED_DIRS.iter().map(PathBuf::from).chain(own).chain([std::env::temp_dir()]).collect()
}

/// Makes a path of the machine available below `root`: copies a symlink, and returns the mount for a directory.
fn share(root: &Path, path: &Path) -> Option<Value> {
    let here = root.join(path.strip_prefix("/").unwrap_or(path));
    fs::create_dir_all(here.parent()?).expect("a directory in a pod");
    if let Ok(target) = fs::read_link(path) {
        symlink(target, here).expect("a link in a pod");
        return None;
    }
    path.is_dir()
        .then(|| json!({"destination": path, "type": "bind", "source": path, "options": ["bind", "rw"]}))
}

fn configuration(group: &str, root: &Path, command: &Command, shared: &[Value]) -> Value {
    let args: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|arg| arg.to_string_lossy())
        .collect();
    let mut environment =
        vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()];
    environment.extend(command.get_envs().filter_map(|(name, value)| {
        Some(format!("{}={}", name.to_string_lossy(), value?.to_string_lossy()))
    }));
    let all = capabilities();
    let mut mounts = vec![
        json!({"destination": "/proc", "type": "proc", "source": "proc"}),
        json!({"destination": "/dev", "type": "bind", "source": "/dev", "options": ["rbind", "rw"]}),
        json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["rw", "nosuid"]}),
        json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw", "nosuid"]}),
    ];
    mounts.extend_from_slice(shared);
    json!({
        "ociVersion": "1.0.2",
        "root": {"path": root},
        "hostname": "pod",
        "process": {
            "user": {"uid": 0, "gid": 0}, "cwd": "/", "args": args, "env": environment,
            "capabilities": {"bounding": all, "effective": all, "permitted": all},
        },
        "mounts": mounts,
        "linux": {
            "cgroupsPath": group,
            "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}],
            "resources": {
                "memory": {"limit": MEMORY_LIMIT}, "pids": {"limit": 2000},
                "devices": [{"allow": true, "access": "rwm"}],
            },
        },
    })
}

/// Returns the capabilities of this machine: a privileged container has all that its node has.
fn capabilities() -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").expect("this process's status");
    let bits = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).expect("a set of capabilities");
    let bits = u64::from_str_radix(bits.trim(), 16).expect("a number");
    let has = |(number, _): &(u32, &str)| bits >> number & 1 == 1;
    (0..).zip(CAPABILITIES.split(' ')).filter(has).map(|(_, name)| format!("CAP_{name}")).collect()
}

/// The names of the capabilities, in the order of their numbers.
const CAPABILITIES: &str = "\
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT \
    SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE \
    AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ \
    PERFMON BPF CHECKPOINT_RESTORE";
