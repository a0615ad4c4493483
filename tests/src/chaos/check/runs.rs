//! How often a job ran.

use super::{Rule, WORD};
use crate::chaos::ledger::{End, Ledger, Record, Start};

pub(super) fn broken(record: &Record, starts: &[Start], ledger: &Ledger) -> Vec<Rule> {
    let attempts = starts.iter().any(|start| !matches!(start.attempt, 1 | 2)) || repeats(starts, ledger);
    let together = starts.iter().zip(starts.iter().skip(1)).any(|(one, next)| !may_follow(one, next, ledger));
    let over = record.answers.iter().any(|answer| {
        let late = |start: &&Start| start.at > answer.at && is_in_touch(start, ledger);
        starts.iter().any(|start| late(&start))
    });
    let rules = [(Rule::Attempts, attempts), (Rule::OneAtATime, together), (Rule::OverIsOver, over)];
    rules.into_iter().filter(|(_, broken)| *broken).map(|(rule, _)| rule).collect()
}

/// True if an attempt of one life of the router ran twice, though its worker could hear the router.
fn repeats(starts: &[Start], ledger: &Ledger) -> bool {
    let counts = |start: &&Start| !is_given_back(start) && is_in_touch(start, ledger);
    let counted: Vec<&Start> = starts.iter().filter(counts).collect();
    counted.iter().enumerate().any(|(index, start)| {
        let same = |other: &&&Start| (&other.epoch, other.attempt) == (&start.epoch, start.attempt);
        counted.iter().take(index).any(|other| same(&other))
    })
}

/// True if a job that had started may start again.
fn may_follow(one: &Start, next: &Start, ledger: &Ledger) -> bool {
    is_given_back(one) || ledger.parted(one.seat, one.at, next.at) || !is_in_touch(next, ledger)
}

fn is_given_back(start: &Start) -> bool {
    matches!(start.end, Some((_, End::GivenBack)))
}

/// False if the worker could not hear that the router had given the job up, or could not say that it has it in hand,
/// and so its run is no attempt.
fn is_in_touch(start: &Start, ledger: &Ledger) -> bool {
    !ledger.parted(start.seat, start.at, start.at + WORD)
}
