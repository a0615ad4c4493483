//! `status`: the workers, as the router sees them.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};

use crate::args::RouterArgs;
use crate::console::Console;
use crate::error::Error;
use crate::exit_code::Code;
use crate::router::{ask, texts};
use crate::table;
use crate::versions::show;

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
pub fn run(args: &StatusArgs, console: Console) -> Result<Code, Error> {
    let client = args.router.connect()?;
    let answer = ask(&client, "status", &json!({"action": "describe_workers"}))?;
    show(&args.router, &answer, console, |answer| workers_table(&answer.response))
}

/// A row for each worker of a `workers_info` answer, sorted by channel and name.
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
    let text = |field: &str| worker.get(field).and_then(Value::as_str).unwrap_or("-").to_owned();
    let count = |field: &str| worker.get(field).and_then(Value::as_array).map_or(0, Vec::len);
    let slots = worker.get("slots").and_then(Value::as_u64).unwrap_or_default();
    let draining = worker.get("draining").and_then(Value::as_bool).unwrap_or_default();
    vec![
        text("name"),
        text("channel"),
        texts(worker.get("topics")).join(","),
        format!("{}/{slots}", count("jobs")),
        if draining { "draining" } else { "online" }.to_owned(),
        ready(worker.get("ready")),
        failures(worker.get("failed")),
    ]
}

/// How many versions are ready of each track, such as `python:1,ruby:2`.
fn ready(versions: Option<&Value>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for version in versions.and_then(Value::as_array).into_iter().flatten() {
        *counts.entry(version.get("track").and_then(Value::as_str).unwrap_or("-")).or_default() += 1;
    }
    let all: Vec<String> = counts.iter().map(|(track, count)| format!("{track}:{count}")).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(",") }
}

/// The versions that a worker could not make ready, and why.
fn failures(failed: Option<&Value>) -> String {
    let one = |version: &Value| {
        let text = |field: &str| version.get(field).and_then(Value::as_str).unwrap_or("-").to_owned();
        format!("{} {}: {}", text("track"), text("reason"), text("message"))
    };
    let all: Vec<String> = failed.and_then(Value::as_array).into_iter().flatten().map(one).collect();
    if all.is_empty() { "-".to_owned() } else { all.join("; ") }
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
    fn no_workers_are_said_in_words() {
        assert_eq!(workers_table(&json!({})), "no workers are connected");
    }
}
