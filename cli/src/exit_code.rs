//! Exit codes. Each class of outcome has its own, so that scripts need not parse messages.

use std::fmt::Write;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// The command succeeded.
    Done = 0,
    /// The job ran, and the submission's tests failed.
    SubmissionFailed = 1,
    /// The command line, or a name or path in it, is wrong. The number is clap's.
    Usage = 2,
    /// The router answered with a status other than 200.
    Refused = 3,
    /// The router cannot be reached, or did not answer in time.
    Unreachable = 4,
    /// `local` could not start, or a process that it started died.
    LocalFailed = 5,
    /// `local demo` ran, and something was not as expected.
    DemoFailed = 6,
    /// This machine's files, network or storage failed.
    Machine = 7,
    /// `lint` found an object that the API server would refuse.
    Faulty = 8,
}

/// Each code with its line in the help text and in the reference.
pub const TABLE: [(Code, &str); 9] = [
    (Code::Done, "done; for a test runner: all tests passed"),
    (Code::SubmissionFailed, "the job ran (200), and the submission's tests failed or could not run"),
    (Code::Usage, "the command line is wrong"),
    (Code::Refused, "the job failed, or the router refused: any status but 200"),
    (Code::Unreachable, "the router cannot be reached, or gave no answer in time"),
    (Code::LocalFailed, "`local` could not start, or a process that it started died"),
    (Code::DemoFailed, "`local demo` ran, and something was not as expected"),
    (Code::Machine, "a file, the storage or the network of this machine failed"),
    (Code::Faulty, "`lint` found an object that the API server would refuse"),
];

impl From<Code> for std::process::ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// Returns the table for the end of the help text.
#[must_use]
pub fn help() -> String {
    let mut text = String::from("Exit codes:\n");
    for (code, line) in TABLE {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}  {line}", code as u8);
    }
    text.push_str(
        "\nNO_COLOR=1 turns colours off. Data goes to standard output, everything else to standard error.",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn exit_codes_are_distinct() {
        let numbers: BTreeSet<u8> = TABLE.iter().map(|(code, _)| *code as u8).collect();
        assert_eq!(numbers, (0..9).collect());
    }
}
