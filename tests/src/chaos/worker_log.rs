//! Reads starts and ends of jobs from workers' logs.

use jiff::Timestamp;
use serde_json::Value;

use super::clock::Clock;
use super::history::{JobEnd, JobStart};

/// The log filter with which a worker logs each job.
pub const FILTER: &str = "info,trackyard_worker::agent::jobs=debug";

/// Returns the job starts in the log of the worker on `node`.
pub(super) fn starts(log: &str, node: usize, clock: Clock) -> Vec<JobStart> {
    let mut starts: Vec<JobStart> = Vec::new();
    // The last line of a killed worker may be incomplete.
    for line in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let field = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
        let Ok(at) = field("timestamp").parse::<Timestamp>() else { continue };
        let at = clock.at(at);
        let token = field("token");
        let end = match field("message") {
            "job" => {
                let attempt = line.get("attempt").and_then(Value::as_u64).unwrap_or_default();
                starts.push(JobStart {
                    at,
                    node,
                    id: field("id").to_owned(),
                    epoch: token.split('-').next().unwrap_or_default().to_owned(),
                    token: token.to_owned(),
                    attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
                    end: None,
                });
                continue;
            }
            "job ended" => JobEnd::Result,
            "job given back" => JobEnd::GivenBack,
            _ => continue,
        };
        if let Some(start) = starts.iter_mut().rev().find(|start| start.token == token) {
            start.end = Some((at, end));
        }
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str, token: &str, rest: &str) -> String {
        let now = Timestamp::now();
        format!(r#"{{"timestamp":"{now}","level":"INFO","message":"{message}","token":"{token}"{rest}}}"#)
    }

    #[test]
    fn starts_and_ends_are_matched_by_token() {
        let clock = Clock::start();
        let log = [
            line("job", "e1-1", r#","id":"one","attempt":1"#),
            line("job", "e1-2", r#","id":"two","attempt":2"#),
            line("job ended", "e1-1", ""),
            line("job given back", "e1-2", ""),
            "{\"half".to_owned(),
        ];
        let starts = starts(&log.join("\n"), 3, clock);
        let ends: Vec<_> = starts.iter().map(|start| start.end.map(|(_, end)| end)).collect();
        assert_eq!(ends, [Some(JobEnd::Result), Some(JobEnd::GivenBack)]);
        let names: Vec<_> = starts.iter().map(|start| (&*start.id, &*start.epoch, start.attempt)).collect();
        assert_eq!(names, [("one", "e1", 1), ("two", "e1", 2)]);
    }
}
