//! Starts a confined program: first the shell joins the cgroup, then it enters the namespaces, then it runs the
//! program.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{fs, io};

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::lines::read_lines;
use super::{BuildCgroup, CgroupMount, ConfineError};

/// Waits until the caller has moved the shell into the cgroup, then executes its arguments.
const WAIT_AND_EXEC: &str = "read -r go && exec \"$@\"";
/// Mounts /proc and the cgroups inside the namespaces, then executes its arguments. Each hierarchy is unmounted
/// first, because it cannot be mounted over itself. $0 is the file with the mounts, as in fstab(5).
const MOUNT_AND_EXEC: &str = "mount -t proc proc /proc && umount -a -l -t cgroup,cgroup2 && mount -a -T \"$0\" && \
                      exec \"$@\"";
const UNSHARE_ARGS: [&str; 8] = [
    "unshare",
    "--pid",
    "--mount",
    "--cgroup",
    "--ipc",
    "--fork",
    "--kill-child=KILL",
    "--propagation=private",
];
/// The environment variables that a program inherits.
const INHERITED_ENV: [&str; 9] = [
    "PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// A program to run.
#[derive(Debug, Clone)]
pub struct Program {
    /// The binary.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, besides the variables that every program gets.
    pub env: Vec<(&'static str, String)>,
    /// Its own directory, for `HOME` and `TMPDIR`.
    pub home: PathBuf,
    /// Whether it runs in its own namespaces. A client that starts no processes, and only connects to a daemon of the
    /// same cgroup, needs none.
    pub has_namespaces: bool,
}

/// A running program.
pub(super) struct RunningProgram {
    pub(super) child: Child,
    pub(super) lines: mpsc::Receiver<String>,
}

impl RunningProgram {
    pub(super) fn start(program: &Program, cgroup: &dyn BuildCgroup) -> Result<Self, ConfineError> {
        let failed = |source| ConfineError::Spawn { program: program.path.display().to_string(), source };
        fs::create_dir_all(&program.home).map_err(failed)?;
        let mounts = program.home.join("fstab");
        write_new(&mounts, &fstab(&cgroup.hierarchies())).map_err(failed)?;
        let mut child = command(program, &mounts).spawn().map_err(failed)?;
        if let Err(error) = move_into_cgroup(&mut child, cgroup) {
            let _ = child.start_kill();
            return Err(failed(error));
        }
        let lines = read_lines(child.stdout.take(), child.stderr.take());
        Ok(Self { child, lines })
    }

    pub(super) async fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().await.ok().and_then(|status| status.code())
    }
}

/// Moves the waiting shell into the cgroup and lets it continue.
fn move_into_cgroup(child: &mut Child, cgroup: &dyn BuildCgroup) -> io::Result<()> {
    let id = child.id().ok_or_else(|| io::Error::other("it ended at once"))?.to_string();
    cgroup.procs_files().iter().try_for_each(|file| fs::write(file, &id))?;
    let mut stdin = child.stdin.take().ok_or_else(|| io::Error::other("it has no input pipe"))?;
    tokio::spawn(async move {
        let _ = stdin.write_all(b"go\n").await;
    });
    Ok(())
}

/// Replaces a file. If the old file is a link, it is not followed.
fn write_new(file: &Path, text: &str) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => File::create_new(file)?.write_all(text.as_bytes()),
    }
}

/// Returns the mounts in the format of fstab(5).
fn fstab(mounts: &[CgroupMount]) -> String {
    let escaped = |text: &str| text.replace('\\', r"\134").replace(' ', r"\040").replace('\t', r"\011");
    mounts
        .iter()
        .map(|CgroupMount { kind, options, mount_point }| {
            format!("cgroup {} {kind} {} 0 0\n", escaped(&mount_point.to_string_lossy()), escaped(options))
        })
        .collect()
}

fn command(program: &Program, mounts: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", WAIT_AND_EXEC, "sh"]);
    if program.has_namespaces {
        command.args(UNSHARE_ARGS).args(["--", "/bin/sh", "-c", MOUNT_AND_EXEC]).arg(mounts);
    }
    command.arg(&program.path).args(&program.args);
    command.env_clear();
    for name in INHERITED_ENV {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("HOME", &program.home).env("TMPDIR", &program.home).env("XDG_RUNTIME_DIR", &program.home);
    command.envs(program.env.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fstab_escapes_mount_points() {
        let mount = |kind, options: &str, mount_point: &str| CgroupMount {
            kind,
            options: options.to_owned(),
            mount_point: mount_point.into(),
        };
        let all = [
            mount("cgroup", "name=systemd", "/sys/fs/cgroup/a b\\c"),
            mount("cgroup2", "rw", "/sys/fs/cgroup/unified"),
        ];
        assert_eq!(
            fstab(&all),
            "cgroup /sys/fs/cgroup/a\\040b\\134c cgroup name=systemd 0 0\n\
             cgroup /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
        );
    }

    #[test]
    fn replacing_a_link_does_not_follow_it() {
        let dir = tempfile::tempdir().unwrap();
        let mounts = dir.path().join("fstab");
        let other = dir.path().join("other");
        fs::write(&other, "stays").unwrap();
        std::os::unix::fs::symlink(&other, &mounts).unwrap();
        write_new(&mounts, "new").unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "stays");
        assert_eq!(fs::read_to_string(&mounts).unwrap(), "new");
    }
}
