//! Judges how a job ended, from what was observed of it. Pure.
//!
//! The first cause wins: our own kill, then memory, a signal, the exit code, the output. (Bad input and a failed set-up
//! are found before there is a container.)

use std::fmt::Write;
use std::time::Duration;

use trackyard_protocol::limits::Limits;
use trackyard_protocol::reason::Reason;

use super::outcome::OutputError;

/// What ended the wait for the container's first process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It exited by itself.
    Exited,
    /// It was killed at the limit of wall-clock time.
    Wall,
    /// It was killed at the limit of processor time.
    Cpu,
    /// It was killed for too much standard output.
    Stdout,
    /// It was killed for too much standard error.
    Stderr,
    /// It was killed because one of its processes was killed for memory.
    Memory,
    /// It was killed because nobody waits for its answer any more.
    Cancelled,
}

/// How the container's first process exited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    Code(i32),
    Signal(i32),
}

/// Everything that a verdict depends on.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) cpu_limit: Duration,
    pub(crate) cause: Cause,
    pub(crate) exit: ExitStatus,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    pub(crate) oom_kills: u64,
    pub(crate) pids_denied: u64,
    pub(crate) stdout: u64,
    pub(crate) stderr: u64,
    /// Why `runc` could not execute the entry script, by its line on the container's standard error.
    pub(crate) exec_error: Option<ExecError>,
    pub(crate) output: Option<&'a OutputError>,
}

/// Why the entry script could not be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExecError {
    /// The script or its interpreter is missing.
    NotFound,
    /// The script is there, but it is not an executable program.
    NotExecutable,
}

impl ExecError {
    /// Returns the exit code that a shell would have returned.
    pub(crate) const fn code(self) -> i32 {
        match self {
            Self::NotFound => 127,
            Self::NotExecutable => 126,
        }
    }
}

/// Returns the verdict, and one line that names the limit and the use.
pub(crate) fn judge(facts: &Facts<'_>) -> (Reason, String) {
    killed_by_us(facts)
        .or_else(|| out_of_memory(facts))
        .or_else(|| failed(facts))
        .or_else(|| facts.output.map(|error| bad_output(error, facts.limits)))
        .unwrap_or_else(|| (Reason::Ok, Reason::Ok.text().to_owned()))
}

fn killed_by_us(facts: &Facts<'_>) -> Option<(Reason, String)> {
    let limits = facts.limits;
    let stream = |name: &str, total: u64, limit: u64| {
        format!("stopped after {total} bytes of standard {name}; limit {limit} bytes")
    };
    let stdout = || (Reason::StdoutLimit, stream("output", facts.stdout, limits.stdout.0));
    let stderr = || (Reason::StderrLimit, stream("error", facts.stderr, limits.stderr.0));
    Some(match facts.cause {
        Cause::Wall => {
            let text =
                format!("stopped after {:.2} s; limit {}", facts.wall.as_secs_f64(), seconds(limits.wall.0));
            (Reason::WallTime, text)
        }
        Cause::Cpu => {
            let limit = seconds(facts.cpu_limit);
            let used = facts.cpu.as_secs_f64();
            (Reason::CpuTime, format!("stopped after {used:.2} s of processor time; limit {limit}"))
        }
        Cause::Stdout => stdout(),
        Cause::Stderr => stderr(),
        Cause::Memory => return None,
        Cause::Cancelled => (Reason::Deadline, "stopped: nobody waits for the answer".to_owned()),
        // What was still in the pipe when the first process ended counts as well.
        Cause::Exited if facts.stdout > limits.stdout.0 => stdout(),
        Cause::Exited if facts.stderr > limits.stderr.0 => stderr(),
        Cause::Exited => return None,
    })
}

fn out_of_memory(facts: &Facts<'_>) -> Option<(Reason, String)> {
    (facts.cause == Cause::Memory || facts.oom_kills > 0).then(|| {
        let limit = facts.limits.memory;
        (Reason::OomKilled, format!("killed for using more memory than allowed; limit {limit}"))
    })
}

fn failed(facts: &Facts<'_>) -> Option<(Reason, String)> {
    use rustix::process::Signal;
    let is = |number: i32, signal: Signal| number == signal.as_raw();
    if let Some(error) = facts.exec_error {
        let what = match error {
            ExecError::NotFound => "the entry script or its interpreter is not in the image",
            ExecError::NotExecutable => "the entry script is not an executable program",
        };
        return Some((Reason::ExitCode, format!("exit code {}: {what}", error.code())));
    }
    let (reason, mut text) = match facts.exit {
        ExitStatus::Code(0) => return None,
        ExitStatus::Signal(number) if is(number, Signal::KILL) => {
            (Reason::Killed, "killed from outside".to_owned())
        }
        ExitStatus::Signal(number) if is(number, Signal::SYS) => {
            (Reason::SyscallBlocked, "killed for a system call that is not allowed".to_owned())
        }
        ExitStatus::Signal(number) => {
            (Reason::Signal, format!("ended by signal {number}{}", signal_name(number)))
        }
        // The kernel does not send this signal to the first process of a pid namespace: only the shell's code shows it.
        ExitStatus::Code(code) if is(code - 128, Signal::XFSZ) => {
            let limit = facts.limits.file_size;
            (Reason::FileSize, format!("ended for writing too large a file; limit {limit}"))
        }
        ExitStatus::Code(code) => (Reason::ExitCode, format!("exit code {code}{}", hint(code))),
    };
    if facts.pids_denied > 0 {
        let _ = write!(text, "; {} processes were denied; limit {}", facts.pids_denied, facts.limits.pids);
    }
    Some((reason, text))
}

fn hint(code: i32) -> String {
    match code {
        126 => ": a command is not executable".to_owned(),
        127 => ": a command or its interpreter is missing".to_owned(),
        129..=192 => {
            format!(": a program it ran was ended by signal {}{}", code - 128, signal_name(code - 128))
        }
        _ => String::new(),
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        15 => " (SIGTERM)",
        31 => " (SIGSYS)",
        _ => "",
    }
}

fn bad_output(error: &OutputError, limits: &Limits) -> (Reason, String) {
    match error {
        OutputError::Missing => (Reason::Missing, Reason::Missing.text().to_owned()),
        OutputError::NotRegular => (Reason::NotRegular, Reason::NotRegular.text().to_owned()),
        OutputError::TooLarge => {
            (Reason::ResultSize, format!("the result is larger than allowed; limit {}", limits.result))
        }
        OutputError::BadEncoding => (Reason::BadEncoding, Reason::BadEncoding.text().to_owned()),
        OutputError::Malformed(detail) => (Reason::Malformed, format!("the result is not JSON: {detail}")),
        OutputError::TooDeep(limit) => {
            (Reason::TooDeep, format!("the result is nested too deeply; limit {limit} levels"))
        }
    }
}

/// Formats a duration, such as `5 s` or `0.25 s`.
fn seconds(duration: Duration) -> String {
    let text = format!("{:.3}", duration.as_secs_f64());
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn facts(limits: &Limits) -> Facts<'_> {
        Facts {
            limits,
            cpu_limit: limits.cpu_time(),
            cause: Cause::Exited,
            exit: ExitStatus::Code(0),
            wall: Duration::from_millis(20_004),
            cpu: Duration::from_millis(300),
            oom_kills: 0,
            pids_denied: 0,
            stdout: 0,
            stderr: 0,
            exec_error: None,
            output: None,
        }
    }

    #[rstest]
    #[case::ok(|_: &mut Facts| (), Reason::Ok)]
    #[case::wall(|f: &mut Facts| f.cause = Cause::Wall, Reason::WallTime)]
    #[case::cpu(|f: &mut Facts| f.cause = Cause::Cpu, Reason::CpuTime)]
    #[case::cancelled(|f: &mut Facts| f.cause = Cause::Cancelled, Reason::Deadline)]
    #[case::our_kill_is_before_memory(|f: &mut Facts| { f.cause = Cause::Stdout; f.oom_kills = 1 }, Reason::StdoutLimit)]
    #[case::late_output(|f: &mut Facts| f.stderr = (1 << 20) + 1, Reason::StderrLimit)]
    #[case::just_enough_output(|f: &mut Facts| f.stderr = 1 << 20, Reason::Ok)]
    #[case::any_oom_kill(|f: &mut Facts| f.oom_kills = 1, Reason::OomKilled)]
    #[case::memory_is_before_signal(|f: &mut Facts| { f.exit = ExitStatus::Signal(9); f.oom_kills = 1 }, Reason::OomKilled)]
    #[case::killed(|f: &mut Facts| f.exit = ExitStatus::Signal(9), Reason::Killed)]
    #[case::syscall(|f: &mut Facts| f.exit = ExitStatus::Signal(31), Reason::SyscallBlocked)]
    #[case::signal(|f: &mut Facts| f.exit = ExitStatus::Signal(11), Reason::Signal)]
    #[case::exit(|f: &mut Facts| f.exit = ExitStatus::Code(3), Reason::ExitCode)]
    #[case::a_shells_code_is_not_a_signal(|f: &mut Facts| f.exit = ExitStatus::Code(139), Reason::ExitCode)]
    #[case::file_size(|f: &mut Facts| f.exit = ExitStatus::Code(153), Reason::FileSize)]
    #[case::exit_is_before_output(|f: &mut Facts| { f.exit = ExitStatus::Code(1); f.output = Some(&OutputError::Missing) }, Reason::ExitCode)]
    #[case::missing(|f: &mut Facts| f.output = Some(&OutputError::Missing), Reason::Missing)]
    #[case::not_regular(|f: &mut Facts| f.output = Some(&OutputError::NotRegular), Reason::NotRegular)]
    #[case::too_large(|f: &mut Facts| f.output = Some(&OutputError::TooLarge), Reason::ResultSize)]
    #[case::encoding(|f: &mut Facts| f.output = Some(&OutputError::BadEncoding), Reason::BadEncoding)]
    #[case::too_deep(|f: &mut Facts| f.output = Some(&OutputError::TooDeep(128)), Reason::TooDeep)]
    #[case::no_interpreter(|f: &mut Facts| { f.exit = ExitStatus::Code(1); f.exec_error = Some(ExecError::NotFound) }, Reason::ExitCode)]
    fn first_cause_wins(#[case] change: fn(&mut Facts<'_>), #[case] expected: Reason) {
        let limits = Limits::default();
        let mut facts = facts(&limits);
        change(&mut facts);
        assert_eq!(judge(&facts).0, expected);
    }

    #[test]
    fn messages_name_the_limit_and_the_use() {
        let limits = Limits::default();
        let text = |change: fn(&mut Facts<'_>)| {
            let mut facts = facts(&limits);
            change(&mut facts);
            judge(&facts).1
        };
        assert_eq!(text(|f| f.cause = Cause::Wall), "stopped after 20.00 s; limit 20 s");
        assert_eq!(text(|f| f.oom_kills = 1), "killed for using more memory than allowed; limit 3Gi");
        assert_eq!(
            text(|f| f.exit = ExitStatus::Code(139)),
            "exit code 139: a program it ran was ended by signal 11 (SIGSEGV)"
        );
        assert_eq!(
            text(|f| {
                f.exit = ExitStatus::Code(2);
                f.pids_denied = 4;
            }),
            "exit code 2; 4 processes were denied; limit 512"
        );
        assert_eq!(seconds(Duration::from_millis(250)), "0.25 s");
    }
}
