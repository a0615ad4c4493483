//! The exit codes: one class of ending each, so that scripts need not read messages.

use std::fmt::Write;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// What was asked for was done.
    Done = 0,
    /// The job ran, and the submission is not right.
    SubmissionFailed = 1,
    /// The command line, or a name or path on it, is not right. clap's own number.
    Usage = 2,
    /// The router answered with another status than 200.
    Refused = 3,
    /// No router, or no answer from it in time.
    Unreachable = 4,
    /// `local` could not start, or what it started died.
    LocalFailed = 5,
    /// `local demo` ran, and something was not as expected.
    DemoFailed = 6,
    /// This machine's files, network or storage failed.
    Machine = 7,
    /// `lint` found what the API server would refuse.
    Faulty = 8,
}

/// Each code with the line that the help and the reference show.
pub const TABLE: [(Code, &str); 9] = [
    (Code::Done, "done; for a test runner: all tests passed"),
    (Code::SubmissionFailed, "the job ran (200), and the submission's tests failed or could not run"),
    (Code::Usage, "the command line is not right"),
    (Code::Refused, "the job failed, or the router refused: any status but 200"),
    (Code::Unreachable, "the router cannot be reached, or gave no answer in time"),
    (Code::LocalFailed, "`local` could not start, or a part that it started died"),
    (Code::DemoFailed, "`local demo` ran, and something was not as expected"),
    (Code::Machine, "a file, the storage or the network of this machine failed"),
    (Code::Faulty, "`lint` found what the API server would refuse"),
];

impl From<Code> for std::process::ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// The table as the end of the help shows it.
#[must_use]
pub fn help() -> String {
    let mut text = String::from("Exit codes:\n");
    for (code, line) in TABLE {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}  {line}", code as u8);
    }
    text.push_str(
        "\nNO_COLOR=1 turns colours off. Data goes to standard output, all else to standard error.",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_class_has_a_number_of_its_own() {
        let numbers: BTreeSet<u8> = TABLE.iter().map(|(code, _)| *code as u8).collect();
        assert_eq!(numbers, (0..9).collect());
    }
}
