//! One running part.

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

use super::Error;
use super::plan::Part;

const TAIL_BYTES: u64 = 8 << 10;
const TAIL_LINES: usize = 20;

/// The first part that ended without being asked to.
#[derive(Debug, Clone)]
pub(super) struct Deaths(watch::Sender<Option<Death>>);

#[derive(Debug, Clone)]
struct Death {
    name: String,
    how: String,
    log: PathBuf,
}

impl Deaths {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Waits until a part ends by itself.
    pub(super) async fn next(&self) -> Error {
        let mut seen = self.0.subscribe();
        match seen.wait_for(Option::is_some).await.map(|death| death.clone()) {
            Ok(Some(Death { name, how, log })) => {
                let tail = tail(&log);
                Error::PartDied { name, how, log, tail }
            }
            _ => Error::Interrupted,
        }
    }
}

/// A running part. Its descriptor names the process for good: a signal never reaches another one that got its number.
#[derive(Debug)]
pub(super) struct Child {
    /// What was started.
    pub(super) part: Part,
    /// Its standard output and error.
    pub(super) log: PathBuf,
    process: OwnedFd,
    exited: watch::Receiver<bool>,
    asked_to_end: Arc<AtomicBool>,
}

impl Child {
    /// Starts a part, tied to this process, in a process group of its own: a Ctrl-C on the terminal reaches this
    /// process alone, which then takes the parts down in order. Must be called on a thread that stays.
    pub(super) fn start(
        part: Part,
        own_binary: &Path,
        logs: &Path,
        environment: &[(&'static str, String)],
        deaths: &Deaths,
    ) -> Result<Self, Error> {
        let log = logs.join(format!("{}.log", part.name));
        let file = OpenOptions::new().create(true).append(true).open(&log);
        let file = file.map_err(Error::file("write the log", &log))?;
        let failed = |source| Error::Start { name: part.name.clone(), source };
        let mut command = command(&part, own_binary, environment);
        command.stdout(file.try_clone().map_err(failed)?).stderr(file);
        let mut child = command.spawn().map_err(failed)?;
        let process = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let process =
            process.ok_or(rustix::io::Errno::SRCH).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
        let process = process.map_err(|error| failed(error.into()))?;
        let (exit, exited) = watch::channel(false);
        let asked_to_end = Arc::new(AtomicBool::new(false));
        let (asked, deaths) = (Arc::clone(&asked_to_end), deaths.clone());
        let (name, its_log) = (part.name.clone(), log.clone());
        tokio::spawn(async move {
            let how = how(&child.wait().await);
            exit.send_replace(true);
            if !asked.load(Ordering::SeqCst) {
                deaths.0.send_if_modified(|first| {
                    let is_first = first.is_none();
                    first.get_or_insert(Death { name, how, log: its_log });
                    is_first
                });
            }
        });
        Ok(Self { part, log, process, exited, asked_to_end })
    }

    /// Sends a signal; from now on the part's end is no surprise. One that has ended gets none.
    pub(super) fn ask_to_end(&self, signal: Signal) {
        self.asked_to_end.store(true, Ordering::SeqCst);
        // The only failure left is that it has ended.
        let _ = pidfd_send_signal(&self.process, signal);
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) {
        // The sender goes away only after it has said so.
        let _ = self.exited.clone().wait_for(|exited| *exited).await;
    }

    /// True if it has ended.
    pub(super) fn has_ended(&self) -> bool {
        *self.exited.borrow()
    }
}

fn command(part: &Part, own_binary: &Path, environment: &[(&'static str, String)]) -> Command {
    let mut command = Command::new(own_binary);
    command.args(["local", "tie", "--parent", &std::process::id().to_string(), "--"]);
    command.arg(&part.binary).args(&part.args);
    // The keys of whoever started this are not for the parts.
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"AWS_") {
            command.env_remove(name);
        }
    }
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).process_group(0);
    command
}

fn how(status: &io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

/// The last lines of a log.
pub(super) fn tail(log: &Path) -> String {
    let text = read_end(log).unwrap_or_else(|error| format!("(cannot be read: {error})"));
    let mut lines: Vec<&str> = text.lines().rev().take(TAIL_LINES).collect();
    lines.reverse();
    lines.join("\n")
}

fn read_end(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("x.log");
        let lines: Vec<String> = (0..10_000).map(|n| format!("line {n}")).collect();
        std::fs::write(&log, lines.join("\n")).unwrap();
        let end = tail(&log);
        assert_eq!(end.lines().count(), TAIL_LINES);
        assert!(end.ends_with("line 9999"));
    }
}
