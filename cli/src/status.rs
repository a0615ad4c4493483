//! `status`: the workers, as the router sees them.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};

use crate::args::RouterArgs;
use crate::console::Console;
use crate::error::CommandError;
use crate::exit_code::Code;
use crate::router::{print_answer, request, strings};
use crate::table;

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    router: RouterArgs,
}

/// Runs `status`.
///
/// # Errors
/// If there is no answer, or the router refuses.
pub fn run(args: &StatusArgs, console: Console) -> Result<Code, CommandError> {
    let client = args.router.connect()?;
    let answer = request(&client, "status", &json!({"action": "describe_workers"}))?;
    print_answer(&args.router.output, &answer, console, |answer| workers_table(&answer.response))
}

/// Formats a row for each worker of a `workers_info` answer, sorted by channel and name.
fn workers_table(response: &Value) -> String {
    let workers = response.get("workers_info").and_then(Value::as_array);
    let mut rows: Vec<Vec<String>> = workers.into_iter().flatten().map(row).collect();
    rows.sort_by(|a, b| (a.get(1), a.first()).cmp(&(b.get(1), b.first())));
    if rows.is_empty() {
        return "no workers are connected".to_owned();
    }
    table::render(&["WORKER", "CHANNEL", "TOPICS", "BUSY", "STATE", "READY", "FAILED"], &rows)
}

fn row(worker: &Value) -> Vec<String> {
    let busy = worker.get("jobs").and_then(Value::as_array).map_or(0, Vec::len);
    let slots = worker.get("slots").and_then(Value::as_u64).unwrap_or_default();
    let draining = worker.get("draining").and_then(Value::as_bool).unwrap_or_default();
    vec![
        text(worker, "name").to_owned(),
        text(worker, "channel").to_owned(),
        strings(worker.get("topics")).join(","),
        format!("{busy}/{slots}"),
        if draining { "draining" } else { "online" }.to_owned(),
        ready(worker.get("ready")),
        failures(worker.get("failed")),
    ]
}

/// Counts the ready versions of each track, such as `python:1,ruby:2`.
fn ready(versions: Option<&Value>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for version in versions.and_then(Value::as_array).into_iter().flatten() {
        *counts.entry(version.get("track").and_then(Value::as_str).unwrap_or("-")).or_default() += 1;
    }
    let all: Vec<String> = counts.iter().map(|(track, count)| format!("{track}:{count}")).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(",") }
}

/// Lists the versions that a worker could not prepare, and why.
fn failures(failed: Option<&Value>) -> String {
    let versions = failed.and_then(Value::as_array).into_iter().flatten();
    let all: Vec<String> = versions
        .map(|version| {
            format!("{} {}: {}", text(version, "track"), text(version, "reason"), text(version, "message"))
        })
        .collect();
    if all.is_empty() { "-".to_owned() } else { all.join("; ") }
}

fn text<'v>(object: &'v Value, field: &str) -> &'v str {
    object.get(field).and_then(Value::as_str).unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_listed_by_channel_and_name() {
        let response = json!({"workers_info": [
            {"name": "tests-2", "channel": "test_runners", "topics": ["*"], "slots": 2, "draining": true,
             "jobs": [{}], "ready": [{"track": "ruby"}, {"track": "python"}, {"track": "ruby"}], "failed": []},
            {"name": "ruby-1", "channel": "test_runners", "topics": ["ruby"], "slots": 4, "draining": false,
             "jobs": [], "ready": [],
             "failed": [{"track": "ruby", "version": "git-1", "reason": "pull_failed", "message": "no\u{1b}[2J route"}]},
            {"name": "analyzers", "channel": "static_analyzers", "topics": ["*"], "slots": 2},
        ]});
        insta::assert_snapshot!(workers_table(&response));
    }

    #[test]
    fn without_workers_there_is_no_table() {
        assert_eq!(workers_table(&json!({})), "no workers are connected");
    }
}
