//! Starting a program inside: first into the control group, then into the namespaces, then into the program.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{fs, io};

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::lines::read_lines;
use super::{Cage, Error, Hierarchy};

/// Waits until its caller has put it into the control group, then becomes what its arguments say.
const ENTER: &str = "read -r go && exec \"$@\"";
/// Inside the namespaces: mounts /proc and the control groups as they are seen from here, then becomes the program. A
/// hierarchy is unmounted first, because none can be mounted over itself. $0 is the file of their table, as in fstab(5).
const SETTLE: &str = "mount -t proc proc /proc && umount -a -l -t cgroup,cgroup2 && mount -a -T \"$0\" && \
                      exec \"$@\"";
const NAMESPACES: [&str; 8] = [
    "unshare",
    "--pid",
    "--mount",
    "--cgroup",
    "--ipc",
    "--fork",
    "--kill-child=KILL",
    "--propagation=private",
];
/// What a program inherits of this one's environment.
const INHERITED: [&str; 9] = [
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

/// What to run.
#[derive(Debug, Clone)]
pub struct Program {
    /// The binary.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its environment, besides what every program gets.
    pub environment: Vec<(&'static str, String)>,
    /// A directory of its own, for `HOME` and `TMPDIR`.
    pub home: PathBuf,
    /// False for a client that starts nothing and only talks to a program of the same cage: it needs no namespaces.
    pub has_namespaces: bool,
}

/// A running program.
pub(super) struct Launched {
    pub(super) child: Child,
    pub(super) lines: mpsc::Receiver<String>,
}

impl Launched {
    pub(super) fn start(program: &Program, cage: &dyn Cage) -> Result<Self, Error> {
        let failed = |source| Error::Spawn { program: program.path.display().to_string(), source };
        fs::create_dir_all(&program.home).map_err(failed)?;
        let table = program.home.join("fstab");
        replace(&table, &lines_of(&cage.hierarchies())).map_err(failed)?;
        let mut child = command(program, &table).spawn().map_err(failed)?;
        match enter(&mut child, cage) {
            Ok(()) => {}
            Err(error) => {
                let _ = child.start_kill();
                return Err(failed(error));
            }
        }
        let lines = read_lines(child.stdout.take(), child.stderr.take());
        Ok(Self { child, lines })
    }

    pub(super) async fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().await.ok().and_then(|status| status.code())
    }
}

/// Nothing of the program runs before it is in the control group.
fn enter(child: &mut Child, cage: &dyn Cage) -> io::Result<()> {
    let id = child.id().ok_or_else(|| io::Error::other("it ended at once"))?.to_string();
    cage.entrances().iter().try_for_each(|file| fs::write(file, &id))?;
    let mut gate = child.stdin.take().ok_or_else(|| io::Error::other("there is no pipe to it"))?;
    tokio::spawn(async move {
        let _ = gate.write_all(b"go\n").await;
    });
    Ok(())
}

/// Writes a file anew: what is there is not followed if it is a link.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => File::create_new(file)?.write_all(text.as_bytes()),
    }
}

/// The hierarchies as fstab(5) has them.
fn lines_of(hierarchies: &[Hierarchy]) -> String {
    let escaped = |text: &str| text.replace('\\', r"\134").replace(' ', r"\040").replace('\t', r"\011");
    let line = |Hierarchy { kind, options, point }: &Hierarchy| {
        format!("cgroup {} {kind} {} 0 0\n", escaped(&point.to_string_lossy()), escaped(options))
    };
    hierarchies.iter().map(line).collect()
}

fn command(program: &Program, table: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", ENTER, "sh"]);
    if program.has_namespaces {
        command.args(NAMESPACES).args(["--", "/bin/sh", "-c", SETTLE]).arg(table);
    }
    command.arg(&program.path).args(&program.arguments);
    command.env_clear();
    for name in INHERITED {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("HOME", &program.home).env("TMPDIR", &program.home).env("XDG_RUNTIME_DIR", &program.home);
    command.envs(program.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_one_that_mount_reads() {
        let of = |kind, options: &str, point: &str| Hierarchy {
            kind,
            options: options.to_owned(),
            point: point.into(),
        };
        let all = [
            of("cgroup", "name=systemd", "/sys/fs/cgroup/a b\\c"),
            of("cgroup2", "rw", "/sys/fs/cgroup/unified"),
        ];
        assert_eq!(
            lines_of(&all),
            "cgroup /sys/fs/cgroup/a\\040b\\134c cgroup name=systemd 0 0\n\
             cgroup /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
        );
    }

    #[test]
    fn a_link_in_the_tables_place_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (table, other) = (dir.path().join("fstab"), dir.path().join("other"));
        fs::write(&other, "stays").unwrap();
        std::os::unix::fs::symlink(&other, &table).unwrap();
        replace(&table, "new").unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "stays");
        assert_eq!(fs::read_to_string(&table).unwrap(), "new");
    }
}
