//! What a job's answer means, and how it is shown.

mod comments;
mod test_results;

use clap::builder::styling::AnsiColor;
use trackyard_protocol::answer::Answer;
use trackyard_protocol::channel::Channel;

use crate::console::{harmless, painted};
use crate::exit_code::Code;

pub use comments::Analysis;
pub use test_results::{Counts, TestResults};

/// The exit code for a job's answer.
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

/// The colour of a verdict: green, yellow where the submission's tests fail, red for all else.
#[must_use]
pub fn colour(channel: Channel, answer: &Answer) -> AnsiColor {
    match code(channel, answer) {
        Code::Done => AnsiColor::Green,
        Code::SubmissionFailed => AnsiColor::Yellow,
        _ => AnsiColor::Red,
    }
}

/// The verdict in one line, such as `fail: 4 passed 1 failed (0.81 s on ruby-1)`.
#[must_use]
pub fn line(channel: Channel, answer: &Answer) -> String {
    let colour = colour(channel, answer);
    let head = if answer.status.ok {
        summary(channel, answer)
    } else {
        format!("{} {}: {}", answer.status.status_code, reason(answer), harmless(&answer.status.message))
    };
    let (word, rest) = head.split_once(':').unwrap_or((&head, ""));
    let rest = if rest.is_empty() { String::new() } else { format!(":{rest}") };
    format!("{}{rest}{}", painted(colour, word), place_and_time(answer))
}

/// The result in some words, without place and time.
#[must_use]
pub fn summary(channel: Channel, answer: &Answer) -> String {
    match channel {
        _ if !answer.status.ok => String::new(),
        Channel::TestRunners => TestResults::read(&answer.response).summary(),
        Channel::StaticAnalyzers => Analysis::read(&answer.response).summary(),
        Channel::Representers => {
            let length = answer.response.as_str().unwrap_or_default().chars().count();
            format!("represented: {length} characters")
        }
        Channel::Builders => "done".to_owned(),
    }
}

/// What follows the verdict's line: tests, comments or the representation.
#[must_use]
pub fn details(channel: Channel, answer: &Answer) -> String {
    match channel {
        _ if !answer.status.ok => detail_of_failure(answer),
        Channel::TestRunners => TestResults::read(&answer.response).list(),
        Channel::StaticAnalyzers => Analysis::read(&answer.response).list(),
        _ => answer.response.as_str().map(harmless).unwrap_or_default(),
    }
}

/// The reason's stable word, or a dash.
#[must_use]
pub fn reason(answer: &Answer) -> String {
    answer.status.reason.as_deref().map_or_else(|| "-".to_owned(), harmless)
}

/// The worker that ran the job, or a dash.
#[must_use]
pub fn worker(answer: &Answer) -> String {
    answer.context.get("worker").and_then(|w| w.as_str()).map_or_else(|| "-".to_owned(), harmless)
}

/// How long the router had the job.
#[must_use]
pub fn seconds(answer: &Answer) -> Option<String> {
    let millis = answer.context.pointer("/timing/duration_milliseconds")?.as_u64()?;
    Some(format!("{}.{:02} s", millis / 1000, millis % 1000 / 10))
}

fn place_and_time(answer: &Answer) -> String {
    let place = Some(worker(answer)).filter(|name| name != "-").map(|name| format!("on {name}"));
    let replayed = answer.context.get("replayed").and_then(serde_json::Value::as_bool).unwrap_or_default();
    let parts: Vec<String> =
        [seconds(answer), place, replayed.then(|| "replayed".to_owned())].into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// What the container said, for a job that did not end well: the end of its standard error, or of its output.
fn detail_of_failure(answer: &Answer) -> String {
    let stream = |name: &str| {
        let text = answer.context.pointer(&format!("/invocation/{name}")).and_then(|v| v.as_str());
        text.map(str::trim_end).filter(|text| !text.is_empty()).map(|text| (name.to_owned(), text))
    };
    let Some((name, text)) = stream("stderr").or_else(|| stream("stdout")) else { return String::new() };
    let mut lines: Vec<&str> = text.lines().rev().take(20).collect();
    lines.reverse();
    let shown: Vec<String> = lines.iter().map(|line| clipped(line)).collect();
    format!("the end of the container's {name}:\n{}", shown.join("\n"))
}

fn clipped(line: &str) -> String {
    let head: String = line.chars().take(200).collect();
    let cut = if line.chars().nth(200).is_some() { " …" } else { "" };
    format!("  {}{cut}", harmless(&head))
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
    #[case(200, json!(["no object"]), Channel::TestRunners, Code::SubmissionFailed)]
    #[case(200, json!({"comments": []}), Channel::StaticAnalyzers, Code::Done)]
    #[case(200, json!("text"), Channel::Representers, Code::Done)]
    #[case(401, Value::Null, Channel::TestRunners, Code::Refused)]
    #[case(503, Value::Null, Channel::Representers, Code::Refused)]
    fn codes(#[case] status: u16, #[case] response: Value, #[case] channel: Channel, #[case] code: Code) {
        assert_eq!(super::code(channel, &answer(status, "x", &response)), code);
    }

    fn shown(channel: Channel, answer: &Answer) -> String {
        let text = format!("{}\n{}", line(channel, answer), details(channel, answer));
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn tests_are_listed_with_what_went_wrong() {
        let results = json!({"version": 2, "status": "fail", "tests": [
            {"name": "a year", "status": "pass"},
            {"name": "a \u{1b}[2Jcentury", "status": "fail", "message": "expected True\nis False", "output": "seen\n"},
            {"name": "an error", "status": "error", "message": "boom"},
        ]});
        insta::assert_snapshot!(shown(Channel::TestRunners, &answer(200, "ok", &results)));
    }

    #[test]
    fn a_program_that_could_not_run_says_why() {
        let results = json!({"version": 2, "status": "error", "message": "SyntaxError: line 3", "tests": []});
        insta::assert_snapshot!(shown(Channel::TestRunners, &answer(200, "ok", &results)));
    }

    #[test]
    fn comments_are_listed_by_their_types() {
        let analysis = json!({"summary": "One thing must change.", "comments": [
            {"comment": "python.general.bare_except", "type": "essential", "params": {"line": 4}},
            "python.general.nothing",
        ]});
        insta::assert_snapshot!(shown(Channel::StaticAnalyzers, &answer(200, "ok", &analysis)));
    }

    #[test]
    fn a_failed_job_shows_the_end_of_what_the_container_said() {
        insta::assert_snapshot!(shown(Channel::TestRunners, &answer(401, "wall_time", &Value::Null)));
    }
}
