//! A shell into which a page's commands are typed, and the background commands beside it.

#[cfg(test)]
mod tests;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::console::ConsoleStep;
use super::matching::{begins_with, differ};
use super::page::PageFault;

/// The line that the shell prints when a command has ended, with its exit code and the working directory.
const MARK: &str = "\u{1e}command-ended";
/// How long a background command may take to end after Ctrl-C.
const INTERRUPT_TIMEOUT: Duration = Duration::from_secs(60);
/// Lines of output that a failure shows.
const MAX_SHOWN_LINES: usize = 40;

/// How the shell and the background commands are started.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// The command that runs a program in the page's network.
    pub enter: Vec<String>,
    /// All environment variables.
    pub variables: Vec<(String, String)>,
    /// The working directory.
    pub directory: PathBuf,
    /// A directory for the session's own files.
    pub files: PathBuf,
    /// Timeout of a command.
    pub command_timeout: Duration,
}

impl SessionOptions {
    fn command(&self, args: &[&str]) -> Command {
        let mut enter = self.enter.iter();
        let mut command = Command::new(enter.next().map_or("env", String::as_str));
        command.args(enter).args(args).env_clear().envs(self.variables.iter().cloned());
        // On a terminal, Ctrl-C reaches a process group.
        command.process_group(0).stdout(Stdio::piped());
        command
    }
}

/// A shell.
pub struct Session {
    options: SessionOptions,
    shell: Child,
    input: ChildStdin,
    output: Receiver<String>,
    typed: usize,
    background: Vec<Background>,
}

/// A background command.
struct Background {
    line: usize,
    process: Child,
    printed: Arc<Mutex<Vec<String>>>,
    /// Ends once all output is in `printed`.
    reader: JoinHandle<()>,
}

impl Session {
    /// Starts the shell.
    ///
    /// # Panics
    /// When bash cannot be started.
    #[must_use]
    pub fn start(options: SessionOptions) -> Self {
        let mut command = options.command(&["bash", "--noprofile", "--norc"]);
        let mut shell =
            command.current_dir(&options.directory).stdin(Stdio::piped()).spawn().expect("start a shell");
        let mut input = shell.stdin.take().expect("the shell's input");
        let (sender, output) = channel();
        let printed = shell.stdout.take().expect("the shell's output");
        std::thread::spawn(move || read_lines(printed, |line| drop(sender.send(line))));
        let begin = format!(
            "exec 2>&1\nended() {{ builtin printf '\\n{MARK} %s %s\\n' \"$1\" \"$PWD\"; }}\n\
             trap 'ended $?' EXIT\nset -euo pipefail\n"
        );
        input.write_all(begin.as_bytes()).expect("type into the shell");
        Self { options, shell, input, output, typed: 0, background: Vec::new() }
    }

    /// Returns the shell's working directory.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.options.directory.clone()
    }

    /// Types a command, and compares its output and exit code.
    ///
    /// # Errors
    /// When the command does not end in time, or its output or exit code differs.
    pub fn run(&mut self, step: &ConsoleStep, exit: i32) -> Result<(), PageFault> {
        let (code, printed) = self.type_command(&step.command, step.line, exit != 0)?;
        if code != exit {
            let what = format!("`{}` ended with {code}, not {exit}:\n{}", step.command, tail(&printed));
            return Err(PageFault::new(step.line, what));
        }
        if step.expected.is_empty() {
            return Ok(());
        }
        match differ(&step.expected, &printed) {
            None => Ok(()),
            Some(fault) => Err(PageFault::new(fault.line, format!("{}:\n{}", fault.what, tail(&printed)))),
        }
    }

    /// Types a command. Returns its exit code and output. Unless it may fail, the first failure within it ends the
    /// shell.
    ///
    /// # Errors
    /// When the command does not end in time.
    pub fn type_command(
        &mut self,
        command: &str,
        line: usize,
        may_fail: bool,
    ) -> Result<(i32, Vec<String>), PageFault> {
        self.typed += 1;
        // The command is in a file, so that one that reads standard input does not read the next commands.
        let file = self.options.files.join(format!("typed-{}.sh", self.typed));
        let lost = |what: std::io::Error| PageFault::new(line, format!("the shell is gone: {what}"));
        fs::write(&file, format!("{command}\n")).map_err(lost)?;
        let source = format!(". '{}' </dev/null", file.display());
        let typed = if may_fail {
            format!("set +e\n{source}\nended $?\nset -e\n")
        } else {
            format!("{source}\nended 0\n")
        };
        self.input.write_all(typed.as_bytes()).map_err(lost)?;
        self.read_until_mark(command, line)
    }

    /// Returns the exit code and output once the command has ended.
    fn read_until_mark(&mut self, command: &str, line: usize) -> Result<(i32, Vec<String>), PageFault> {
        let until = Instant::now() + self.options.command_timeout;
        let mut printed = Vec::new();
        loop {
            match self.output.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(text) => match text.strip_prefix(MARK) {
                    Some(rest) => {
                        let (code, directory) = rest.trim_start().split_once(' ').unwrap_or(("1", "/"));
                        self.options.directory = PathBuf::from(directory);
                        // The mark is preceded by a line break.
                        if printed.last().is_some_and(String::is_empty) {
                            printed.pop();
                        }
                        return Ok((code.parse().unwrap_or(1), printed));
                    }
                    None => printed.push(text),
                },
                Err(RecvTimeoutError::Timeout) => {
                    let what = format!("`{command}` has not ended yet:\n{}", tail(&printed));
                    return Err(PageFault::new(line, what));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let what = format!("`{command}` ended the shell:\n{}", tail(&printed));
                    return Err(PageFault::new(line, what));
                }
            }
        }
    }

    /// Starts a background command, and waits until it has printed the expected lines.
    ///
    /// # Errors
    /// When the command ends before, or does not print them in time.
    ///
    /// # Panics
    /// Never: the command's output is a pipe.
    pub fn start_background(&mut self, step: &ConsoleStep) -> Result<(), PageFault> {
        let script = format!("exec 2>&1\nset -euo pipefail\n{}\n", step.command);
        let mut command = self.options.command(&["bash", "--noprofile", "--norc", "-c", &script]);
        let mut process = command
            .current_dir(&self.options.directory)
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| PageFault::new(step.line, error.to_string()))?;
        let output = process.stdout.take().expect("the command's output");
        let printed = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&printed);
        let reader = std::thread::spawn(move || {
            read_lines(output, |line| lines.lock().unwrap_or_else(PoisonError::into_inner).push(line));
        });
        self.background.push(Background { line: step.line, process, printed, reader });
        let until = Instant::now() + self.options.command_timeout;
        let Some(begun) = self.background.last_mut() else { return Ok(()) };
        loop {
            let has_ended =
                begun.process.try_wait().is_ok_and(|status| status.is_some()) && begun.reader.is_finished();
            let printed = begun.printed();
            if begins_with(&step.expected, &printed) {
                return Ok(());
            }
            if has_ended || Instant::now() > until {
                let how = if has_ended { "has ended" } else { "is late" };
                let fault = differ(&step.expected, &printed);
                let what = fault.map_or_else(String::new, |fault| fault.what);
                let what = format!("`{}` {how}: {what}\n{}", step.command, tail(&printed));
                return Err(PageFault::new(step.line, what));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends Ctrl-C to the background commands, the last one first, and waits until they have ended.
    ///
    /// # Errors
    /// When a command does not end in time; it is killed then.
    pub fn interrupt(&mut self) -> Result<(), PageFault> {
        let mut fault = None;
        while let Some(background) = self.background.pop() {
            fault = background.interrupt().err().or(fault);
        }
        fault.map_or(Ok(()), Err)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.interrupt();
        signal_group(&self.shell, Signal::KILL);
        let _ = self.shell.wait();
    }
}

impl Background {
    fn printed(&self) -> Vec<String> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn interrupt(mut self) -> Result<(), PageFault> {
        signal_group(&self.process, Signal::INT);
        let until = Instant::now() + INTERRUPT_TIMEOUT;
        while Instant::now() < until {
            if self.process.try_wait().is_ok_and(|status| status.is_some()) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        signal_group(&self.process, Signal::KILL);
        let _ = self.process.wait();
        let what = format!("the command does not end after Ctrl-C:\n{}", tail(&self.printed()));
        Err(PageFault::new(self.line, what))
    }
}

/// Signals the process group of a process that has not been waited for.
fn signal_group(process: &Child, signal: Signal) {
    if let Some(group) = i32::try_from(process.id()).ok().and_then(Pid::from_raw) {
        // The call fails only if the group has ended.
        let _ = kill_process_group(group, signal);
    }
}

fn read_lines(output: impl Read, mut take: impl FnMut(String)) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        take(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned());
        line.clear();
    }
}

/// Returns the last lines of an output, for a failure.
fn tail(printed: &[String]) -> String {
    let from = printed.len().saturating_sub(MAX_SHOWN_LINES);
    printed.iter().skip(from).map(|line| format!("    {line}\n")).collect()
}
