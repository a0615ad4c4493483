//! A child process that ends when its value is dropped, and whose log is printed when the test fails.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::wait_for;

/// Lines of a log that a failing test prints.
const MAX_LOG_LINES: usize = 60;
/// How long a process may take to end after SIGTERM when its value is dropped.
const TERMINATION_TIMEOUT: Duration = Duration::from_secs(8);

/// A running program.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; its output is appended to the file `log`.
    ///
    /// # Panics
    /// When the command cannot be started.
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(log).expect("a log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second descriptor of the log"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self { name: name.to_owned(), child, log: log.to_owned() }
    }

    /// Returns the process's id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) {
        self.try_signal(signal).unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.name));
    }

    fn try_signal(&self, signal: Signal) -> rustix::io::Result<()> {
        let pid =
            i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).ok_or(rustix::io::Errno::SRCH)?;
        kill_process(pid, signal)
    }

    /// Kills the process with SIGKILL, and waits until it has ended.
    ///
    /// # Panics
    /// When waiting for it fails.
    pub fn kill(&mut self) {
        self.child.kill().expect("kill a child");
        self.child.wait().expect("wait for a killed child");
    }

    /// Returns true until the process has ended.
    ///
    /// # Panics
    /// When its state cannot be read.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the state of a child").is_none()
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Panics
    /// When it does not end within `timeout`.
    pub fn wait_for_exit(&mut self, timeout: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        wait_for(timeout, &what, || self.child.try_wait().expect("the state of a child"))
    }

    /// Returns everything that the process wrote.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    fn show_log(&self) {
        let log = self.log();
        // A registry logs each request.
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains("/v2/")).collect();
        let tail = lines.get(lines.len().saturating_sub(MAX_LOG_LINES)..).unwrap_or_default();
        let text = format!("---- the end of {}'s log ----\n{}\n----\n", self.name, tail.join("\n"));
        // A closed standard error is no reason to fail.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    fn terminate(&mut self) {
        // A frozen process must run to handle SIGTERM.
        if self.try_signal(Signal::CONT).is_ok() && self.try_signal(Signal::TERM).is_ok() {
            let until = Instant::now() + TERMINATION_TIMEOUT;
            while Instant::now() < until {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        // The process may have ended meanwhile.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.terminate();
        }
        if std::thread::panicking() {
            self.show_log();
        }
    }
}
