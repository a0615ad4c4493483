//! Starts and ends of jobs, as workers log them.

use jiff::Timestamp;
use serde_json::Value;

use super::clock::Clock;
use super::ledger::{End, Start};

/// The level of logs at which a worker tells of each job.
pub const LOG: &str = "info,trackyard_worker::agent::jobs=debug";

/// The starts that the log of the worker on `seat` tells of.
pub(super) fn starts(log: &str, seat: usize, clock: Clock) -> Vec<Start> {
    let mut starts: Vec<Start> = Vec::new();
    // A killed worker may have left half a line.
    for line in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let field = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
        let Ok(at) = field("timestamp").parse::<Timestamp>() else { continue };
        let (at, token) = (clock.at(at), field("token"));
        let end = match field("message") {
            "job" => {
                let attempt = line.get("attempt").and_then(Value::as_u64).unwrap_or_default();
                starts.push(Start {
                    at,
                    seat,
                    id: field("id").to_owned(),
                    epoch: token.split('-').next().unwrap_or_default().to_owned(),
                    token: token.to_owned(),
                    attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
                    end: None,
                });
                continue;
            }
            "job ended" => End::Result,
            "job given back" => End::GivenBack,
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
    fn starts_and_ends_are_told_by_token() {
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
        assert_eq!(ends, [Some(End::Result), Some(End::GivenBack)]);
        let names: Vec<_> = starts.iter().map(|start| (&*start.id, &*start.epoch, start.attempt)).collect();
        assert_eq!(names, [("one", "e1", 1), ("two", "e1", 2)]);
    }
}
