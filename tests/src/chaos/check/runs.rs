//! Checks how often each job ran.

use std::collections::BTreeSet;

use super::{MAX_ACCEPT_DELAY, Rule};
use crate::chaos::history::{History, JobEnd, JobRecord, JobStart};

pub(super) fn broken(record: &JobRecord, starts: &[JobStart], history: &History) -> Vec<Rule> {
    let attempts = starts.iter().any(|start| !matches!(start.attempt, 1 | 2)) || repeats(starts, history);
    let together =
        starts.iter().zip(starts.iter().skip(1)).any(|(one, next)| !may_follow(one, next, history));
    let after_answer = record
        .answers
        .iter()
        .any(|answer| starts.iter().any(|start| start.at > answer.at && is_connected(start, history)));
    let rules =
        [(Rule::Attempts, attempts), (Rule::OneAtATime, together), (Rule::NoRunAfterAnswer, after_answer)];
    rules.into_iter().filter(|(_, broken)| *broken).map(|(rule, _)| rule).collect()
}

/// Returns true if an attempt of one router epoch ran twice although its worker was connected.
fn repeats(starts: &[JobStart], history: &History) -> bool {
    let counted: Vec<&JobStart> =
        starts.iter().filter(|start| !is_given_back(start) && is_connected(start, history)).collect();
    let attempts: BTreeSet<_> = counted.iter().map(|start| (&start.epoch, start.attempt)).collect();
    attempts.len() < counted.len()
}

/// Returns true if a job that had started as `one` may start again as `next`.
fn may_follow(one: &JobStart, next: &JobStart, history: &History) -> bool {
    is_given_back(one) || history.was_disconnected(one.node, one.at, next.at) || !is_connected(next, history)
}

fn is_given_back(start: &JobStart) -> bool {
    matches!(start.end, Some((_, JobEnd::GivenBack)))
}

/// Returns false if the worker could not learn that the router had given the job up, or could not report that it had
/// accepted it; then its run is not an attempt.
fn is_connected(start: &JobStart, history: &History) -> bool {
    !history.was_disconnected(start.node, start.at, start.at + MAX_ACCEPT_DELAY)
}
