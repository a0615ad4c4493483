//! What a job's answer means, and how to show it.

mod analysis;
mod test_results;

use clap::builder::styling::AnsiColor;
use trackyard_protocol::answer::Answer;
use trackyard_protocol::channel::Channel;

use crate::console::{escape_control, painted};
use crate::exit_code::Code;

pub use analysis::Analysis;
pub use test_results::{Counts, TestResults};

/// At most this many lines of a failed container's output are shown.
const MAX_FAILURE_LINES: usize = 20;
/// At most this many characters of such a line are shown.
const MAX_LINE_CHARS: usize = 200;

/// Returns the exit code for a job's answer.
#[must_use]
pub fn code(channel: Channel, answer: &Answer) -> Code {
    if !answer.status.ok {
        Code::Refused
    } else if channel == Channel::TestRunners && !TestResults::read(&answer.response).passed() {
        Code::SubmissionFailed
    } else {
        Code::Done
    }
}

/// Returns the colour of a verdict: green, yellow if the submission's tests fail, red for everything else.
#[must_use]
pub fn colour(channel: Channel, answer: &Answer) -> AnsiColor {
    match code(channel, answer) {
        Code::Done => AnsiColor::Green,
        Code::SubmissionFailed => AnsiColor::Yellow,
        _ => AnsiColor::Red,
    }
}

/// Formats the verdict in one line, such as `fail: 4 passed 1 failed (0.81 s, on ruby-1)`.
#[must_use]
pub fn line(channel: Channel, answer: &Answer) -> String {
    let colour = colour(channel, answer);
    let head = if answer.status.ok {
        summary(channel, answer)
    } else {
        format!(
            "{} {}: {}",
            answer.status.status_code,
            reason(answer),
            escape_control(&answer.status.message)
        )
    };
    let (verdict, rest) = head.split_at(head.find(':').unwrap_or(head.len()));
    format!("{}{rest}{}", painted(colour, verdict), time_and_worker(answer))
}

/// Summarizes the result, without time and worker; empty if the job failed.
#[must_use]
pub fn summary(channel: Channel, answer: &Answer) -> String {
    match channel {
        _ if !answer.status.ok => String::new(),
        Channel::TestRunners => TestResults::read(&answer.response).summary(),
        Channel::StaticAnalyzers => Analysis::read(&answer.response).comment_count(),
        Channel::Representers => {
            let length = answer.response.as_str().unwrap_or_default().chars().count();
            format!("represented: {length} characters")
        }
        Channel::Builders => "done".to_owned(),
    }
}

/// Formats what follows the verdict's line: tests, comments or the representation.
#[must_use]
pub fn details(channel: Channel, answer: &Answer) -> String {
    match channel {
        _ if !answer.status.ok => failure_details(answer),
        Channel::TestRunners => TestResults::read(&answer.response).list(),
        Channel::StaticAnalyzers => Analysis::read(&answer.response).list(),
        _ => answer.response.as_str().map(escape_control).unwrap_or_default(),
    }
}

/// Returns the reason's stable name, or a dash.
#[must_use]
pub fn reason(answer: &Answer) -> String {
    answer.status.reason.as_deref().map_or_else(|| "-".to_owned(), escape_control)
}

/// Returns the worker that ran the job, or a dash.
#[must_use]
pub fn worker(answer: &Answer) -> String {
    answer.context.get("worker").and_then(|w| w.as_str()).map_or_else(|| "-".to_owned(), escape_control)
}

/// Returns how long the router had the job, such as `0.81 s`.
#[must_use]
pub fn seconds(answer: &Answer) -> Option<String> {
    let millis = answer.context.pointer("/timing/duration_milliseconds")?.as_u64()?;
    Some(format!("{}.{:02} s", millis / 1000, millis % 1000 / 10))
}

fn time_and_worker(answer: &Answer) -> String {
    let on_worker = Some(worker(answer)).filter(|name| name != "-").map(|name| format!("on {name}"));
    let replayed = answer.context.get("replayed").and_then(serde_json::Value::as_bool).unwrap_or_default();
    let parts: Vec<String> =
        [seconds(answer), on_worker, replayed.then(|| "replayed".to_owned())].into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// Formats the end of the container's standard error, or of its standard output, for a job that failed.
fn failure_details(answer: &Answer) -> String {
    let Some((name, text)) = stream(answer, "stderr").or_else(|| stream(answer, "stdout")) else {
        return String::new();
    };
    let mut lines: Vec<&str> = text.lines().rev().take(MAX_FAILURE_LINES).collect();
    lines.reverse();
    let shown: Vec<String> = lines.iter().map(|line| clipped(line)).collect();
    format!("the end of the container's {name}:\n{}", shown.join("\n"))
}

fn stream<'a>(answer: &'a Answer, name: &'static str) -> Option<(&'static str, &'a str)> {
    let text = answer.context.get("invocation")?.get(name)?.as_str()?.trim_end();
    (!text.is_empty()).then_some((name, text))
}

fn clipped(line: &str) -> String {
    let head: String = line.chars().take(MAX_LINE_CHARS).collect();
    let ellipsis = if line.chars().nth(MAX_LINE_CHARS).is_some() { " …" } else { "" };
    format!("  {}{ellipsis}", escape_control(&head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn answer(code: u16, reason: &str, response: &Value) -> Answer {
        serde_json::from_value(json!({
            "status": {"ok": code == 200, "status_code": code, "message": "stopped after 5.00 s; limit 5 s",
                       "reason": reason},
            "response": response,
            "context": {"worker": "ruby-1", "timing": {"duration_milliseconds": 812},
                        "invocation": {"stdout": "", "stderr": "a\u{1b}[31mb\nlast\n"}},
        }))
        .unwrap()
    }

    #[rstest]
    #[case(200, json!({"status": "pass"}), Channel::TestRunners, Code::Done)]
    #[case(200, json!({"status": "fail"}), Channel::TestRunners, Code::SubmissionFailed)]
    #[case(200, json!({"status": "error"}), Channel::TestRunners, Code::SubmissionFailed)]
    #[case(200, json!(["not an object"]), Channel::TestRunners, Code::SubmissionFailed)]
    #[case(200, json!({"comments": []}), Channel::StaticAnalyzers, Code::Done)]
    #[case(200, json!("text"), Channel::Representers, Code::Done)]
    #[case(401, Value::Null, Channel::TestRunners, Code::Refused)]
    #[case(503, Value::Null, Channel::Representers, Code::Refused)]
    fn exit_code_follows_status_and_tests(
        #[case] status: u16,
        #[case] response: Value,
        #[case] channel: Channel,
        #[case] code: Code,
    ) {
        assert_eq!(super::code(channel, &answer(status, "x", &response)), code);
    }

    fn shown(channel: Channel, answer: &Answer) -> String {
        let text = format!("{}\n{}", line(channel, answer), details(channel, answer));
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn tests_are_listed_with_messages() {
        let results = json!({"version": 2, "status": "fail", "tests": [
            {"name": "a year", "status": "pass"},
            {"name": "a \u{1b}[2Jcentury", "status": "fail", "message": "expected True\nis False", "output": "seen\n"},
            {"name": "an error", "status": "error", "message": "boom"},
        ]});
        insta::assert_snapshot!(shown(Channel::TestRunners, &answer(200, "ok", &results)));
    }

    #[test]
    fn a_failed_test_run_shows_its_message() {
        let results = json!({"version": 2, "status": "error", "message": "SyntaxError: line 3", "tests": []});
        insta::assert_snapshot!(shown(Channel::TestRunners, &answer(200, "ok", &results)));
    }

    #[test]
    fn comments_are_listed_with_types() {
        let analysis = json!({"summary": "One thing must change.", "comments": [
            {"comment": "python.general.bare_except", "type": "essential", "params": {"line": 4}},
            "python.general.nothing",
        ]});
        insta::assert_snapshot!(shown(Channel::StaticAnalyzers, &answer(200, "ok", &analysis)));
    }

    #[test]
    fn a_failed_job_shows_the_end_of_stderr() {
        insta::assert_snapshot!(shown(Channel::TestRunners, &answer(401, "wall_time", &Value::Null)));
    }
}
