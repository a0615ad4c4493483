//! A child process of the platform.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::process::Command;
use tokio::sync::watch;

use super::LocalError;
use super::plan::ProcessSpec;
use crate::error::CommandError;

/// Maximum size of a log's tail.
const MAX_TAIL_BYTES: u64 = 8 << 10;
/// Maximum number of lines of a log's tail.
const MAX_TAIL_LINES: usize = 20;

/// Reports the first process that ends without being told to.
#[derive(Debug, Clone)]
pub(super) struct UnexpectedExits(watch::Sender<Option<UnexpectedExit>>);

#[derive(Debug, Clone)]
struct UnexpectedExit {
    name: String,
    status: String,
    log: PathBuf,
}

impl UnexpectedExits {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    fn report(&self, exit: UnexpectedExit) {
        self.0.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert(exit);
            is_first
        });
    }

    /// Waits for the first such process and returns it as an error.
    pub(super) async fn next(&self) -> CommandError {
        let mut seen = self.0.subscribe();
        match seen.wait_for(Option::is_some).await.map(|exit| exit.clone()) {
            Ok(Some(UnexpectedExit { name, status, log })) => {
                let tail = tail(&log);
                LocalError::UnexpectedExit { name, status, log, tail }.into()
            }
            _ => CommandError::Interrupted,
        }
    }
}

/// A child process. Signals go to its pidfd, so that they never reach another process that was given the same number.
#[derive(Debug)]
pub(super) struct Child {
    /// How it was started.
    pub(super) spec: ProcessSpec,
    /// The file of its standard output and standard error.
    pub(super) log: PathBuf,
    pidfd: OwnedFd,
    exited: watch::Receiver<bool>,
    is_stopping: Arc<AtomicBool>,
}

impl Child {
    /// Starts a process that ends with this one, in a process group of its own, so that a Ctrl-C on the terminal reaches
    /// only this process, which then stops the others in order. The calling thread must not end before this process.
    pub(super) fn start(
        spec: ProcessSpec,
        own_binary: &Path,
        logs: &Path,
        environment: &[(&'static str, String)],
        unexpected_exits: &UnexpectedExits,
    ) -> Result<Self, LocalError> {
        let log = logs.join(format!("{}.log", spec.name));
        let file = OpenOptions::new().create(true).append(true).open(&log);
        let file = file.map_err(LocalError::file("write the log", &log))?;
        let failed = |source| LocalError::Start { name: spec.name.clone(), source };
        let mut command = command(&spec, own_binary, environment);
        command.stdout(file.try_clone().map_err(failed)?).stderr(file);
        let mut child = command.spawn().map_err(failed)?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let pidfd = pid.ok_or(rustix::io::Errno::SRCH).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
        let pidfd = pidfd.map_err(|error| failed(error.into()))?;
        let (exit, exited) = watch::channel(false);
        let is_stopping = Arc::new(AtomicBool::new(false));
        tokio::spawn({
            let is_stopping = Arc::clone(&is_stopping);
            let unexpected_exits = unexpected_exits.clone();
            let name = spec.name.clone();
            let log = log.clone();
            async move {
                let status = describe(&child.wait().await);
                exit.send_replace(true);
                if !is_stopping.load(Ordering::SeqCst) {
                    unexpected_exits.report(UnexpectedExit { name, status, log });
                }
            }
        });
        Ok(Self { spec, log, pidfd, exited, is_stopping })
    }

    /// Sends a signal that stops the process. From now on its exit is expected.
    pub(super) fn stop(&self, signal: Signal) {
        self.is_stopping.store(true, Ordering::SeqCst);
        // This can only fail if the process has ended already.
        let _ = pidfd_send_signal(&self.pidfd, signal);
    }

    /// Waits until the process has ended.
    pub(super) async fn wait(&self) {
        // The sender is dropped only after it has sent the exit.
        let _ = self.exited.clone().wait_for(|exited| *exited).await;
    }

    /// True if the process has ended.
    pub(super) fn has_ended(&self) -> bool {
        *self.exited.borrow()
    }
}

fn command(spec: &ProcessSpec, own_binary: &Path, environment: &[(&'static str, String)]) -> Command {
    let mut command = Command::new(own_binary);
    command.args(["local", "exec-with-parent", "--parent", &std::process::id().to_string(), "--"]);
    command.arg(&spec.binary).args(&spec.args);
    // The user's AWS credentials must not reach the children.
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"AWS_") {
            command.env_remove(name);
        }
    }
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).process_group(0);
    command
}

fn describe(status: &io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Returns the last lines of a log.
pub(super) fn tail(log: &Path) -> String {
    let text = read_end(log).unwrap_or_else(|error| format!("(cannot be read: {error})"));
    let mut lines: Vec<&str> = text.lines().rev().take(MAX_TAIL_LINES).collect();
    lines.reverse();
    lines.join("\n")
}

fn read_end(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(MAX_TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_has_the_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("x.log");
        let lines: Vec<String> = (0..10_000).map(|n| format!("line {n}")).collect();
        std::fs::write(&log, lines.join("\n")).unwrap();
        let end = tail(&log);
        assert_eq!(end.lines().count(), MAX_TAIL_LINES);
        assert!(end.ends_with("line 9999"));
    }
}
