//! How a job ended, from what was seen of it. Pure.
//!
//! The first cause wins: our own kill, then memory, a signal, the exit code, the output. (Bad input and set-up come
//! before there is a container.)

use std::fmt::Write;
use std::time::Duration;

use trackyard_protocol::limits::Limits;
use trackyard_protocol::reason::Reason;

use super::collect::Fault;

/// What ended the wait for the container's first process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It ended.
    Ended,
    /// It was killed for its time.
    Wall,
    /// It was killed for its processor time.
    Cpu,
    /// It was killed for its standard output.
    Stdout,
    /// It was killed for its standard error.
    Stderr,
    /// It was killed because one of its processes was, for memory.
    Memory,
    /// It was killed because nobody waits for it.
    Cancelled,
}

/// How the container's first process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Exit(i32),
    Signal(i32),
}

/// All that a verdict is made of.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) cpu_limit: Duration,
    pub(crate) cause: Cause,
    pub(crate) end: End,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    pub(crate) oom_kills: u64,
    pub(crate) pids_denied: u64,
    pub(crate) stdout: u64,
    pub(crate) stderr: u64,
    /// What the first process could not be replaced by: `runc`'s own line on the container's standard error.
    pub(crate) exec_fault: Option<ExecFault>,
    pub(crate) output: Option<&'a Fault>,
}

/// Why the entry script could not be run at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExecFault {
    /// The script or its interpreter is missing.
    NotFound,
    /// It is there and not a program.
    NotExecutable,
}

impl ExecFault {
    /// The code that a shell would have ended with.
    pub(crate) const fn code(self) -> i32 {
        match self {
            Self::NotFound => 127,
            Self::NotExecutable => 126,
        }
    }
}

/// The verdict, and one line that names the limit and the use.
pub(crate) fn judge(facts: &Facts<'_>) -> (Reason, String) {
    killed_by_us(facts)
        .or_else(|| out_of_memory(facts))
        .or_else(|| ended_badly(facts))
        .or_else(|| facts.output.map(|fault| output(fault, facts.limits)))
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
        Cause::Ended if facts.stdout > limits.stdout.0 => stdout(),
        Cause::Ended if facts.stderr > limits.stderr.0 => stderr(),
        Cause::Ended => return None,
    })
}

fn out_of_memory(facts: &Facts<'_>) -> Option<(Reason, String)> {
    (facts.cause == Cause::Memory || facts.oom_kills > 0).then(|| {
        let limit = facts.limits.memory;
        (Reason::OomKilled, format!("killed for using more memory than allowed; limit {limit}"))
    })
}

fn ended_badly(facts: &Facts<'_>) -> Option<(Reason, String)> {
    use rustix::process::Signal;
    let is = |number: i32, signal: Signal| number == signal.as_raw();
    if let Some(fault) = facts.exec_fault {
        let what = match fault {
            ExecFault::NotFound => "the entry script or its interpreter is not in the image",
            ExecFault::NotExecutable => "the entry script is not an executable program",
        };
        return Some((Reason::ExitCode, format!("exit code {}: {what}", fault.code())));
    }
    let (reason, mut text) = match facts.end {
        End::Exit(0) => return None,
        End::Signal(number) if is(number, Signal::KILL) => (Reason::Killed, "killed from outside".to_owned()),
        End::Signal(number) if is(number, Signal::SYS) => {
            (Reason::SyscallBlocked, "killed for a system call that is not allowed".to_owned())
        }
        End::Signal(number) => (Reason::Signal, format!("ended by signal {number}{}", name(number))),
        // The first process of a pid namespace is spared this signal, so it is seen by its shell's code only.
        End::Exit(code) if is(code - 128, Signal::XFSZ) => {
            let limit = facts.limits.file_size;
            (Reason::FileSize, format!("ended for writing too large a file; limit {limit}"))
        }
        End::Exit(code) => (Reason::ExitCode, format!("exit code {code}{}", hint(code))),
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
        129..=192 => format!(": a program it ran was ended by signal {}{}", code - 128, name(code - 128)),
        _ => String::new(),
    }
}

fn name(signal: i32) -> &'static str {
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

fn output(fault: &Fault, limits: &Limits) -> (Reason, String) {
    match fault {
        Fault::Missing => (Reason::Missing, Reason::Missing.text().to_owned()),
        Fault::NotRegular => (Reason::NotRegular, Reason::NotRegular.text().to_owned()),
        Fault::TooLarge => {
            (Reason::ResultSize, format!("the result is larger than allowed; limit {}", limits.result))
        }
        Fault::BadEncoding => (Reason::BadEncoding, Reason::BadEncoding.text().to_owned()),
        Fault::Malformed(detail) => (Reason::Malformed, format!("the result is not JSON: {detail}")),
        Fault::TooDeep(limit) => {
            (Reason::TooDeep, format!("the result is nested too deeply; limit {limit} levels"))
        }
    }
}

/// `5 s`, or `0.25 s`.
fn seconds(span: Duration) -> String {
    let text = format!("{:.3}", span.as_secs_f64());
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
            cause: Cause::Ended,
            end: End::Exit(0),
            wall: Duration::from_millis(20_004),
            cpu: Duration::from_millis(300),
            oom_kills: 0,
            pids_denied: 0,
            stdout: 0,
            stderr: 0,
            exec_fault: None,
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
    #[case::memory_is_before_signal(|f: &mut Facts| { f.end = End::Signal(9); f.oom_kills = 1 }, Reason::OomKilled)]
    #[case::killed(|f: &mut Facts| f.end = End::Signal(9), Reason::Killed)]
    #[case::syscall(|f: &mut Facts| f.end = End::Signal(31), Reason::SyscallBlocked)]
    #[case::signal(|f: &mut Facts| f.end = End::Signal(11), Reason::Signal)]
    #[case::exit(|f: &mut Facts| f.end = End::Exit(3), Reason::ExitCode)]
    #[case::shells_code_is_no_signal(|f: &mut Facts| f.end = End::Exit(139), Reason::ExitCode)]
    #[case::file_size(|f: &mut Facts| f.end = End::Exit(153), Reason::FileSize)]
    #[case::exit_is_before_output(|f: &mut Facts| { f.end = End::Exit(1); f.output = Some(&Fault::Missing) }, Reason::ExitCode)]
    #[case::missing(|f: &mut Facts| f.output = Some(&Fault::Missing), Reason::Missing)]
    #[case::not_regular(|f: &mut Facts| f.output = Some(&Fault::NotRegular), Reason::NotRegular)]
    #[case::too_large(|f: &mut Facts| f.output = Some(&Fault::TooLarge), Reason::ResultSize)]
    #[case::encoding(|f: &mut Facts| f.output = Some(&Fault::BadEncoding), Reason::BadEncoding)]
    #[case::too_deep(|f: &mut Facts| f.output = Some(&Fault::TooDeep(128)), Reason::TooDeep)]
    #[case::no_interpreter(|f: &mut Facts| { f.end = End::Exit(1); f.exec_fault = Some(ExecFault::NotFound) }, Reason::ExitCode)]
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
            text(|f| f.end = End::Exit(139)),
            "exit code 139: a program it ran was ended by signal 11 (SIGSEGV)"
        );
        assert_eq!(
            text(|f| {
                f.end = End::Exit(2);
                f.pids_denied = 4;
            }),
            "exit code 2; 4 processes were denied; limit 512"
        );
        assert_eq!(seconds(Duration::from_millis(250)), "0.25 s");
    }
}
