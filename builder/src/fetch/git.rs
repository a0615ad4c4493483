//! Runs git in its own environment, without hooks, and within limits of time and size.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::error::FetchError;
use super::options::FetchOptions;
use super::url::{RepositoryUrl, without_login};
use crate::size;

/// Maximum size of the standard output that is kept.
const MAX_OUTPUT_BYTES: u64 = 64 << 20;
/// Maximum size of the standard error that is kept.
const MAX_STDERR_BYTES: u64 = 16 << 10;
/// Maximum length of a line of standard error in error messages.
const MAX_LINE_CHARS: usize = 300;
/// The certificate authorities that the system trusts, on Debian, Alpine and similar distributions.
const SYSTEM_CA_DIR: &str = "/etc/ssl/certs";
/// Interval between two measurements of the directory.
const SIZE_CHECK_INTERVAL: Duration = Duration::from_millis(200);
/// How long to wait for a killed git.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// Settings of every command. They override those of the repository.
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

/// Returns the option of `fetch` and `ls-remote` for the git process that serves a local repository, which does not inherit
/// the settings. Git must accept any owner of the directory: the administrator has allowed the directory, and nothing of
/// the repository is run.
pub(super) fn upload_pack_option(protocol: &str) -> Option<&'static str> {
    (protocol == "file").then_some("--upload-pack=git -c 'safe.directory=*' upload-pack")
}

/// The environment and the limits of a git command.
pub(super) struct Git<'a> {
    pub(super) options: &'a FetchOptions,
    /// The only protocol that the command may use; none for a local command.
    pub(super) protocol: Option<&'static str>,
    pub(super) stop: &'a CancellationToken,
    pub(super) size_limit: Option<SizeLimit<'a>>,
}

/// The maximum size of a directory.
pub(super) struct SizeLimit<'a> {
    pub(super) dir: &'a Path,
    pub(super) limit: u64,
    /// The repository that is fetched into it, for errors.
    pub(super) url: &'a RepositoryUrl,
}

/// The exit and output of a git command.
pub(super) struct GitExit {
    pub(super) output: Vec<u8>,
    /// The last lines of standard error, if it failed.
    pub(super) failure: Option<String>,
    status: String,
}

impl Git<'_> {
    /// Runs `git <args>`, which errors call `what`. Any exit code is a success here.
    pub(super) async fn run<S: AsRef<OsStr>>(
        &self,
        what: &'static str,
        args: &[S],
    ) -> Result<GitExit, FetchError> {
        let mut child = self.command(args).spawn().map_err(FetchError::Spawn)?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let exit = tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(FetchError::Cancelled),
            () = tokio::time::sleep(self.options.command_timeout) => {
                Err(FetchError::TimedOut { what, limit: self.options.command_timeout })
            }
            error = self.outgrown() => Err(error),
            exit = wait(&mut child) => exit,
        };
        if exit.is_err() {
            if let Some(group) = group {
                // This includes its helpers: ssh, git-remote-https, index-pack.
                let _ = kill_process_group(group, Signal::KILL);
            }
            // A process that the kernel holds up is not waited for: the runtime reaps it when it ends.
            let _ = tokio::time::timeout(KILL_TIMEOUT, child.wait()).await;
        }
        exit
    }

    /// Runs a command that must exit with 0, and returns its output.
    pub(super) async fn run_ok<S: AsRef<OsStr>>(
        &self,
        what: &'static str,
        args: &[S],
    ) -> Result<Vec<u8>, FetchError> {
        self.run(what, args).await?.output(what)
    }

    fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new("git");
        command.env_clear().envs(self.environment());
        SETTINGS.iter().for_each(|setting| {
            command.arg("-c").arg(setting);
        });
        if let Some(file) = &self.options.credentials {
            command.arg("-c").arg(format!("credential.helper=store --file={}", file.display()));
        }
        command.args(args);
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
        if let Some(file) = &self.options.ca_file {
            // Without the directory, the file would replace the authorities that curl trusts by default.
            all.push(("GIT_SSL_CAINFO", file.display().to_string()));
            all.push(("GIT_SSL_CAPATH", SYSTEM_CA_DIR.to_owned()));
        }
        for name in ["PATH", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"] {
            all.extend(std::env::var(name).ok().map(|value| (name, value)));
        }
        all
    }

    /// Waits until the directory exceeds its limit.
    async fn outgrown(&self) -> FetchError {
        let Some(SizeLimit { dir, limit, url }) = self.size_limit else {
            return std::future::pending().await;
        };
        size::outgrown(dir, limit, SIZE_CHECK_INTERVAL).await;
        FetchError::TooLarge { what: "the history", url: url.to_string(), limit }
    }
}

impl GitExit {
    fn output(self, what: &'static str) -> Result<Vec<u8>, FetchError> {
        match self.failure {
            None => Ok(self.output),
            Some(message) => Err(FetchError::Git { what, status: self.status, message }),
        }
    }
}

async fn wait(child: &mut Child) -> Result<GitExit, FetchError> {
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    let (output, stderr) = tokio::join!(read(stdout, MAX_OUTPUT_BYTES), read(stderr, MAX_STDERR_BYTES));
    let status = child.wait().await.map_err(FetchError::io("wait for git"))?;
    let failure = (!status.success()).then(|| last_lines(&stderr));
    Ok(GitExit { output, failure, status: status.to_string() })
}

/// Reads a pipe to its end and keeps the first `limit` bytes.
async fn read(pipe: Option<impl AsyncRead + Unpin>, limit: u64) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut pipe) = pipe else { return kept };
    let _ = (&mut pipe).take(limit).read_to_end(&mut kept).await;
    // The rest is read too, or git would block.
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    kept
}

/// Returns the last lines of an output, without credentials. There are four, because two may be advice.
fn last_lines(output: &[u8]) -> String {
    let text = without_login(&String::from_utf8_lossy(output));
    let lines: Vec<String> =
        text.lines().rev().filter(|line| !line.trim().is_empty()).take(4).map(printable).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("; ")
}

fn printable(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(MAX_LINE_CHARS).collect()
}
