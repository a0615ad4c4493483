//! Running git: with an environment of its own, without hooks, and never longer or larger than allowed.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::repositories::Options;
use super::url::{RepositoryUrl, without_login};

/// What git may print of a listing.
const MAX_OUTPUT: u64 = 64 << 20;
/// What is kept of what it says on standard error.
const MAX_SAID: u64 = 16 << 10;
/// The authorities that the system trusts, on Debian, Alpine and their kin.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs";
/// Between two looks at the directory's size.
const LOOK: Duration = Duration::from_millis(200);
/// How long one that was killed may take to end.
const END_DEADLINE: Duration = Duration::from_secs(2);

/// Settings of every command: a repository's own never count, and these come last.
const SETTINGS: [&str; 14] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.sshCommand=",
    "core.askPass=",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "credential.helper=",
    "gc.auto=0",
    "maintenance.auto=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=30",
    "protocol.version=2",
    "submodule.recurse=false",
    "transfer.fsckObjects=true",
];

/// The option of `fetch` and `ls-remote` for the git that serves a repository of this machine: a process of its own, which
/// does not get this one's settings. The administrator allowed the repository's directory, and its owner is often not
/// root; nothing of the repository is run.
pub(super) fn serving(protocol: &str) -> Option<&'static str> {
    (protocol == "file").then_some("--upload-pack=git -c 'safe.directory=*' upload-pack")
}

/// Which command, and what bounds it.
pub(super) struct Git<'a> {
    pub(super) options: &'a Options,
    /// The one protocol that it may speak; none for a command that stays here.
    pub(super) protocol: Option<&'static str>,
    pub(super) stop: &'a CancellationToken,
    pub(super) bound: Option<Bound<'a>>,
}

/// A directory that may not grow beyond a size.
pub(super) struct Bound<'a> {
    pub(super) dir: PathBuf,
    pub(super) limit: u64,
    /// From where its content comes.
    pub(super) url: &'a RepositoryUrl,
}

/// How it ended.
pub(super) struct Ended {
    pub(super) output: Vec<u8>,
    /// What it said on standard error, if it failed.
    pub(super) failed: Option<String>,
    status: String,
}

impl Git<'_> {
    /// Runs `git <arguments>`; `what` names it in errors. An exit code other than 0 is not an error here.
    pub(super) async fn run<S: AsRef<OsStr>>(
        &self,
        what: &'static str,
        arguments: &[S],
    ) -> Result<Ended, Error> {
        let mut child = self.command(arguments).spawn().map_err(Error::Spawn)?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let ended = tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Error::Cancelled),
            () = tokio::time::sleep(self.options.time) => {
                Err(Error::TimedOut { what, limit: self.options.time })
            }
            error = self.outgrown() => Err(error),
            ended = wait(&mut child) => ended,
        };
        if ended.is_err() {
            if let Some(group) = group {
                // Its helpers too: ssh, git-remote-https, index-pack.
                let _ = kill_process_group(group, Signal::KILL);
            }
            // One that the kernel holds keeps nobody: the runtime reaps it whenever it ends.
            let _ = tokio::time::timeout(END_DEADLINE, child.wait()).await;
        }
        ended
    }

    /// Runs a command that must end with 0.
    pub(super) async fn must<S: AsRef<OsStr>>(
        &self,
        what: &'static str,
        arguments: &[S],
    ) -> Result<Vec<u8>, Error> {
        let ended = self.run(what, arguments).await?;
        ended.success(what)
    }

    fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new("git");
        command.env_clear().envs(self.environment());
        SETTINGS.iter().for_each(|setting| {
            command.arg("-c").arg(setting);
        });
        if let Some(file) = &self.options.credentials {
            command.arg("-c").arg(format!("credential.helper=store --file={}", file.display()));
        }
        command.args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let mut all: Vec<(&'static str, String)> = [
            ("HOME", "/nonexistent"),
            ("LC_ALL", "C"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_LFS_SKIP_SMUDGE", "1"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into();
        all.push(("GIT_ALLOW_PROTOCOL", self.protocol.unwrap_or("none").to_owned()));
        all.push(("GIT_SSH_COMMAND", self.options.ssh_command()));
        if let Some(file) = &self.options.authorities {
            // The file alone would replace what curl trusts by itself; with a directory it is added.
            all.push(("GIT_SSL_CAINFO", file.display().to_string()));
            all.push(("GIT_SSL_CAPATH", SYSTEM_AUTHORITIES.to_owned()));
        }
        for name in ["PATH", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"] {
            all.extend(std::env::var(name).ok().map(|value| (name, value)));
        }
        all
    }

    /// Ends once the directory is too large.
    async fn outgrown(&self) -> Error {
        let Some(Bound { dir, limit, url }) = &self.bound else { return std::future::pending().await };
        loop {
            tokio::time::sleep(LOOK).await;
            let path = dir.clone();
            let size = tokio::task::spawn_blocking(move || crate::size::of(&path)).await.unwrap_or_default();
            if size > *limit {
                return Error::TooLarge { what: "the history", url: url.to_string(), limit: *limit };
            }
        }
    }
}

impl Ended {
    pub(super) fn success(self, what: &'static str) -> Result<Vec<u8>, Error> {
        match self.failed {
            None => Ok(self.output),
            Some(said) => Err(Error::Git { what, status: self.status, said }),
        }
    }
}

async fn wait(child: &mut Child) -> Result<Ended, Error> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (output, said) = tokio::join!(read(stdout, MAX_OUTPUT), read(stderr, MAX_SAID));
    let status = child.wait().await.map_err(Error::io("wait for git"))?;
    let failed = (!status.success()).then(|| shown(&said));
    Ok(Ended { output, failed, status: status.to_string() })
}

/// Reads to the end, and keeps no more than the last `limit` bytes of a message or the first of an output.
async fn read(pipe: Option<impl AsyncRead + Unpin>, limit: u64) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut pipe) = pipe else { return kept };
    let _ = (&mut pipe).take(limit).read_to_end(&mut kept).await;
    // The rest is read all the same, or git would wait for ever.
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    kept
}

/// The last lines of what git said, without credentials. Its advice at the end takes two.
fn shown(said: &[u8]) -> String {
    let text = without_login(&String::from_utf8_lossy(said));
    let clean = |line: &str| line.chars().filter(|c| !c.is_control()).take(300).collect::<String>();
    let lines: Vec<String> =
        text.lines().rev().filter(|line| !line.trim().is_empty()).take(4).map(clean).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("; ")
}
