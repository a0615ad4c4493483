//! A child process that never outlives its value, and whose log is shown when its test fails.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::wait_for;

/// Lines of a log that a failing test shows.
const SHOWN_LINES: usize = 60;
/// How long a process may take to end by itself when its value is dropped.
const GRACE: Duration = Duration::from_secs(8);

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
    /// When it can't be started.
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(log).expect("a log file");
        let clone = |file: &File| file.try_clone().expect("a second descriptor of the log");
        let child = command
            .stdin(Stdio::null())
            .stdout(clone(&file))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| unreachable!("cannot start {name}: {error}"));
        Self { name: name.to_owned(), child, log: log.to_owned() }
    }

    /// The process's id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) {
        self.try_signal(signal).unwrap_or_else(|error| unreachable!("cannot signal {}: {error}", self.name));
    }

    fn try_signal(&self, signal: Signal) -> rustix::io::Result<()> {
        let pid =
            i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).ok_or(rustix::io::Errno::SRCH)?;
        kill_process(pid, signal)
    }

    /// Ends it without a chance to tidy up, and waits until it is gone.
    ///
    /// # Panics
    /// When it can't be waited for.
    pub fn kill(&mut self) {
        self.child.kill().expect("kill a child");
        self.child.wait().expect("wait for a killed child");
    }

    /// True until it has ended.
    ///
    /// # Panics
    /// When the system can't tell.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the state of a child").is_none()
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When it has not within `within`.
    pub fn wait_for_exit(&mut self, within: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        wait_for(within, &what, || self.child.try_wait().expect("the state of a child"))
    }

    /// All that it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    fn show_log(&self) {
        let log = self.log();
        // A registry that is filled says much of it.
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains("/v2/")).collect();
        let tail = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default();
        let text = format!("---- the end of {}'s log ----\n{}\n----\n", self.name, tail.join("\n"));
        // Nothing is lost when nobody reads standard error.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    fn end(&mut self) {
        // A frozen process must wake up to tidy up.
        if self.try_signal(Signal::CONT).is_ok() && self.try_signal(Signal::TERM).is_ok() {
            let steps = GRACE.as_millis() / 10;
            for _ in 0..steps {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        // It may be gone meanwhile.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end();
        }
        if std::thread::panicking() {
            self.show_log();
        }
    }
}
