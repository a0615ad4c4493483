//! `results.json`, a test runner's result, in version 2 or older ones, which have only a status.

use clap::builder::styling::AnsiColor;
use serde_json::Value;

use crate::console::{escape_control, painted};

/// Number of tests by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
pub struct Counts {
    /// Tests that passed.
    pub pass: usize,
    /// Tests that failed.
    pub fail: usize,
    /// Tests that raised an error.
    pub error: usize,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Test {
    name: String,
    status: String,
    message: Option<String>,
    output: Option<String>,
}

/// What a test runner wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResults {
    /// `pass`, `fail` or `error`; empty if the file has no status.
    pub status: String,
    message: Option<String>,
    tests: Vec<Test>,
}

impl TestResults {
    /// Reads the fields that are valid; a container may have written anything.
    #[must_use]
    pub fn read(response: &Value) -> Self {
        let tests = response.get("tests").and_then(Value::as_array).into_iter().flatten();
        Self {
            status: text(response, "status").unwrap_or_default(),
            message: text(response, "message"),
            tests: tests.map(Test::read).collect(),
        }
    }

    /// True if the submission passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.status == "pass"
    }

    /// Counts the tests by outcome.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let count = |status: &str| self.tests.iter().filter(|test| test.status == status).count();
        Counts { pass: count("pass"), fail: count("fail"), error: count("error") }
    }

    /// Summarizes the tests, as in `fail: 4 passed 1 failed`.
    #[must_use]
    pub fn summary(&self) -> String {
        let counts = self.counts();
        let parts = [(counts.pass, "passed"), (counts.fail, "failed"), (counts.error, "errored")];
        let parts: Vec<String> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, outcome)| format!("{n} {outcome}")).collect();
        let status =
            if self.status.is_empty() { "no status".to_owned() } else { escape_control(&self.status) };
        format!("{status}: {}", if parts.is_empty() { "no test ran".to_owned() } else { parts.join(" ") })
    }

    /// Formats the runner's message, then a line for each test, with its message and output below it.
    #[must_use]
    pub fn list(&self) -> String {
        let message = self.message.as_deref().map(|m| indented(m, "  "));
        message.into_iter().chain(self.tests.iter().map(Test::lines)).collect::<Vec<_>>().join("\n")
    }
}

impl Test {
    fn read(value: &Value) -> Self {
        Self {
            name: text(value, "name").unwrap_or_else(|| "a test without a name".to_owned()),
            status: text(value, "status").unwrap_or_default(),
            message: text(value, "message"),
            output: text(value, "output"),
        }
    }

    fn lines(&self) -> String {
        let colour = if self.status == "pass" { AnsiColor::Green } else { AnsiColor::Red };
        let mut lines = vec![format!(
            "  {} {}",
            painted(colour, &format!("{:<5}", escape_control(&self.status))),
            escape_control(&self.name)
        )];
        lines.extend(self.message.as_deref().map(|m| indented(m, "        ")));
        lines.extend(self.output.as_deref().map(|o| indented(o, "        | ")));
        lines.join("\n")
    }
}

fn text(value: &Value, field: &str) -> Option<String> {
    value.get(field).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn indented(text: &str, with: &str) -> String {
    let lines: Vec<String> =
        escape_control(text.trim_end()).lines().map(|line| format!("{with}{line}")).collect();
    lines.join("\n")
}
