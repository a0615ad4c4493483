//! A shell in which a page's commands are typed, and what goes on in the background meanwhile.

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

use super::console::Step;
use super::matching::{appeared, differ};
use super::page::Fault;

/// What the shell prints when a command has ended, with its exit code and the working directory.
const MARK: &str = "\u{1e}command-ended";
/// How long what got Ctrl-C may take.
const END_DEADLINE: Duration = Duration::from_secs(60);
/// Lines of an output that a failure shows.
const SHOWN_LINES: usize = 40;

/// How the shell and what goes on beside it are started.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Begins a program in the network that the page is tried in.
    pub enter: Vec<String>,
    /// All of the environment.
    pub variables: Vec<(String, String)>,
    /// Where the shell begins.
    pub directory: PathBuf,
    /// A directory for files of the session itself.
    pub files: PathBuf,
    /// How long a command may take.
    pub command_timeout: Duration,
}

impl Surroundings {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut words = self.enter.iter();
        let mut command = Command::new(words.next().map_or("env", String::as_str));
        command.args(words).args(arguments).env_clear().envs(self.variables.iter().cloned());
        // What Ctrl-C reaches on a terminal is a process group.
        command.process_group(0).stdout(Stdio::piped());
        command
    }
}

/// A shell.
pub struct Session {
    surroundings: Surroundings,
    shell: Child,
    input: ChildStdin,
    output: Receiver<String>,
    typed: usize,
    background: Vec<Background>,
}

/// Something that goes on.
struct Background {
    line: usize,
    process: Child,
    printed: Arc<Mutex<Vec<String>>>,
    /// Ends once all that was printed is in `printed`.
    reader: JoinHandle<()>,
}

impl Session {
    /// Starts the shell.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn start(surroundings: Surroundings) -> Self {
        let mut command = surroundings.command(&["bash", "--noprofile", "--norc"]);
        let mut shell = command
            .current_dir(&surroundings.directory)
            .stdin(Stdio::piped())
            .spawn()
            .expect("start a shell");
        let mut input = shell.stdin.take().expect("the shell's input");
        let (sender, output) = channel();
        let printed = shell.stdout.take().expect("the shell's output");
        std::thread::spawn(move || read_lines(printed, |line| drop(sender.send(line))));
        let begin = format!(
            "exec 2>&1\nended() {{ builtin printf '\\n{MARK} %s %s\\n' \"$1\" \"$PWD\"; }}\n\
             trap 'ended $?' EXIT\nset -euo pipefail\n"
        );
        input.write_all(begin.as_bytes()).expect("type into the shell");
        Self { surroundings, shell, input, output, typed: 0, background: Vec::new() }
    }

    /// The working directory of the shell.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.surroundings.directory.clone()
    }

    /// Types a command, and compares what it prints, and what it ends with.
    ///
    /// # Errors
    /// When it does not end in time or as expected, or prints something else.
    pub fn run(&mut self, step: &Step, exit: i32) -> Result<(), Fault> {
        let (code, printed) = self.type_in(&step.command, step.line, exit != 0)?;
        if code != exit {
            let what = format!("`{}` ended with {code}, not {exit}:\n{}", step.command, end_of(&printed));
            return Err(Fault::new(step.line, what));
        }
        if step.expected.is_empty() {
            return Ok(());
        }
        match differ(&step.expected, &printed) {
            None => Ok(()),
            Some(fault) => Err(Fault::new(fault.line, format!("{}:\n{}", fault.what, end_of(&printed)))),
        }
    }

    /// Types a command, and gives its exit code and what it printed. Unless it may fail, the shell ends at what fails
    /// within it.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn type_in(
        &mut self,
        command: &str,
        line: usize,
        may_fail: bool,
    ) -> Result<(i32, Vec<String>), Fault> {
        self.typed += 1;
        // By a file, so that a command that reads its input does not read those after it.
        let file = self.surroundings.files.join(format!("typed-{}.sh", self.typed));
        let lost = |what: std::io::Error| Fault::new(line, format!("the shell is gone: {what}"));
        fs::write(&file, format!("{command}\n")).map_err(lost)?;
        let source = format!(". '{}' </dev/null", file.display());
        let typed = if may_fail {
            format!("set +e\n{source}\nended $?\nset -e\n")
        } else {
            format!("{source}\nended 0\n")
        };
        self.input.write_all(typed.as_bytes()).map_err(lost)?;
        self.until_mark(command, line)
    }

    /// What is printed until the command has ended.
    fn until_mark(&mut self, command: &str, line: usize) -> Result<(i32, Vec<String>), Fault> {
        let until = Instant::now() + self.surroundings.command_timeout;
        let mut printed = Vec::new();
        loop {
            match self.output.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(text) => match text.strip_prefix(MARK) {
                    Some(rest) => {
                        let (code, directory) = rest.trim_start().split_once(' ').unwrap_or(("1", "/"));
                        self.surroundings.directory = PathBuf::from(directory);
                        // The mark begins a line of its own.
                        if printed.last().is_some_and(String::is_empty) {
                            printed.pop();
                        }
                        return Ok((code.parse().unwrap_or(1), printed));
                    }
                    None => printed.push(text),
                },
                Err(RecvTimeoutError::Timeout) => {
                    let what = format!("`{command}` has not ended yet:\n{}", end_of(&printed));
                    return Err(Fault::new(line, what));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let what = format!("`{command}` ended the shell:\n{}", end_of(&printed));
                    return Err(Fault::new(line, what));
                }
            }
        }
    }

    /// Starts a command that goes on, and waits until it has printed what it must.
    ///
    /// # Errors
    /// When it ends before, or does not print it in time.
    ///
    /// # Panics
    /// When the command's output is not a pipe, which it is made as.
    pub fn begin(&mut self, step: &Step) -> Result<(), Fault> {
        let script = format!("exec 2>&1\nset -euo pipefail\n{}\n", step.command);
        let mut command = self.surroundings.command(&["bash", "--noprofile", "--norc", "-c", &script]);
        let mut process = command
            .current_dir(&self.surroundings.directory)
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| Fault::new(step.line, error.to_string()))?;
        let output = process.stdout.take().expect("the command's output");
        let printed = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&printed);
        let reader = std::thread::spawn(move || {
            read_lines(output, |line| lines.lock().unwrap_or_else(PoisonError::into_inner).push(line));
        });
        self.background.push(Background { line: step.line, process, printed, reader });
        let until = Instant::now() + self.surroundings.command_timeout;
        let Some(begun) = self.background.last_mut() else { return Ok(()) };
        loop {
            let has_ended =
                begun.process.try_wait().is_ok_and(|status| status.is_some()) && begun.reader.is_finished();
            let printed = begun.printed();
            if appeared(&step.expected, &printed) {
                return Ok(());
            }
            if has_ended || Instant::now() > until {
                let how = if has_ended { "has ended" } else { "is late" };
                let fault = differ(&step.expected, &printed);
                let what = fault.map_or_else(String::new, |fault| fault.what);
                let what = format!("`{}` {how}: {what}\n{}", step.command, end_of(&printed));
                return Err(Fault::new(step.line, what));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ctrl-C to all that goes on, the last first, until it has ended.
    ///
    /// # Errors
    /// When something does not end in time; it is killed then.
    pub fn interrupt(&mut self) -> Result<(), Fault> {
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

    fn interrupt(mut self) -> Result<(), Fault> {
        signal_group(&self.process, Signal::INT);
        let until = Instant::now() + END_DEADLINE;
        while Instant::now() < until {
            if self.process.try_wait().is_ok_and(|status| status.is_some()) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        signal_group(&self.process, Signal::KILL);
        let _ = self.process.wait();
        let what = format!("it does not end at Ctrl-C:\n{}", end_of(&self.printed()));
        Err(Fault::new(self.line, what))
    }
}

/// Signals a process that has not been waited for, and all of its group.
fn signal_group(process: &Child, signal: Signal) {
    if let Some(group) = i32::try_from(process.id()).ok().and_then(Pid::from_raw) {
        // The only failure left is that it has ended.
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

/// The last lines of an output, for a failure.
fn end_of(printed: &[String]) -> String {
    let from = printed.len().saturating_sub(SHOWN_LINES);
    printed.iter().skip(from).map(|line| format!("    {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docs::console::Console;
    use crate::docs::page::Page;
    use tempfile::TempDir;

    /// Runs all blocks of a page in an empty directory.
    fn run(text: &str) -> Result<(), Fault> {
        let files = TempDir::new().unwrap();
        let mut session = Session::start(Surroundings {
            enter: vec!["env".to_owned()],
            variables: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            directory: files.path().canonicalize().unwrap(),
            files: files.path().to_owned(),
            command_timeout: Duration::from_secs(5),
        });
        for block in Page::read("a.md", text).unwrap().blocks {
            let console = Console::read(&block).unwrap();
            if console.is_after_ctrl_c {
                session.interrupt()?;
            }
            let last = console.steps.len() - 1;
            for (index, step) in console.steps.iter().enumerate() {
                if console.is_background {
                    session.begin(step)?;
                } else {
                    session.run(step, if index == last { console.exit } else { 0 })?;
                }
            }
        }
        session.interrupt()
    }

    fn fault(text: &str) -> Fault {
        run(text).unwrap_err()
    }

    #[test]
    fn a_session_keeps_its_variables_functions_and_directory() {
        let text = "```console\n$ a=1\n$ say() { echo \"$1 and $a\"; }\n$ mkdir d && cd d\n```\n\
                    ```console\n$ say two\ntwo and 1\n$ pwd\n…/d\n```\n";
        assert_eq!(run(text), Ok(()));
    }

    #[test]
    fn a_command_that_fails_is_a_fault_with_its_line_and_what_it_said() {
        let found = fault("```console\n$ echo fine\nfine\n$ ls /nowhere\n```");
        assert_eq!(found.line, 4);
        assert!(found.what.starts_with("`ls /nowhere` ended with 2, not 0:"), "{found}");
        assert!(found.what.contains("No such file"), "{found}");
    }

    #[test]
    fn a_failure_within_a_command_is_not_passed_over() {
        assert_eq!(fault("```console\n$ for x in 1 2; do false; done; echo fine\nfine\n```").line, 2);
        assert_eq!(fault("```console\n$ false | true\n```").line, 2);
        assert_eq!(fault("```console\n$ echo \"$nobody\"\n```").line, 2);
    }

    #[test]
    fn another_output_is_a_fault_with_its_line() {
        let found = fault("```console\n$ printf 'a\\nb\\n'\na\nc\n```");
        assert_eq!(found.line, 4);
        assert!(found.what.starts_with("expected `c`, it printed `b`"), "{found}");
        assert_eq!(fault("```console\n$ true\nsomething\n```").line, 3);
        assert_eq!(fault("```console\n$ printf 'a\\nb\\n'\na\n```").line, 3);
    }

    #[test]
    fn an_exit_code_that_is_expected_is_none_and_another_is() {
        assert_eq!(run("```console exit=3\n$ (exit 3)\n```\n```console\n$ echo on\non\n```"), Ok(()));
        assert_eq!(fault("```console exit=3\n$ true\n```").line, 2);
        assert_eq!(fault("```console exit=3\n$ false\n$ (exit 3)\n```").line, 2);
    }

    #[test]
    fn a_command_without_a_line_end_and_one_that_reads_are_no_trouble() {
        assert_eq!(run("```console\n$ printf a\na\n$ cat\n$ echo b\nb\n```"), Ok(()));
    }

    #[test]
    fn the_background_is_waited_for_and_ended() {
        let up = "```console background\n$ trap 'echo bye; exit' INT; sleep 0.1; echo up; while :; do sleep 0.05; done\nup\n```\n";
        assert_eq!(
            run(&format!("{up}```console\n$ echo a\na\n```\n```console after-ctrl-c\n$ true\n```")),
            Ok(())
        );
    }

    #[test]
    fn a_background_that_ends_or_says_something_else_is_a_fault() {
        let ended = fault("```console background\n$ echo down; exit 1\nup\n```");
        assert!(ended.what.contains("has ended: expected `up`, it printed `down`"), "{ended}");
        let late = fault("```console background\n$ echo down; sleep 60\n…\nup\n```");
        assert!(late.what.contains("is late"), "{late}");
    }

    #[test]
    fn a_command_that_does_not_end_is_a_fault() {
        let found = fault("```console\n$ echo a; sleep 60\n```");
        assert!(found.what.contains("has not ended yet"), "{found}");
    }
}
