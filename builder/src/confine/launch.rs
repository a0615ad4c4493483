//! Starting a program inside: first into the control group, then into the namespaces, then into the program.

use std::path::PathBuf;
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
/// hierarchy is unmounted first, because none can be mounted over itself.
/// Its arguments are kind, options and mount point of each hierarchy, a `--`, and the program with its own.
const SETTLE: &str = "set -e
mount -t proc proc /proc
while [ \"$1\" != -- ]; do umount -l \"$3\"; mount -t \"$1\" -o \"$2\" cgroup \"$3\"; shift 3; done
shift
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
    /// A folder of its own, for `HOME` and `TMPDIR`.
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
        let mut child = command(program, &cage.hierarchies()).spawn().map_err(failed)?;
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

fn command(program: &Program, hierarchies: &[Hierarchy]) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", ENTER, "sh"]);
    if program.has_namespaces {
        command.args(NAMESPACES).args(["--", "/bin/sh", "-c", SETTLE, "sh"]);
        for hierarchy in hierarchies {
            command.arg(hierarchy.kind).arg(&hierarchy.options).arg(&hierarchy.point);
        }
        command.arg("--");
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
