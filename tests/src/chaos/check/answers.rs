//! One answer, of the right job, to the right client, in time.

use super::{GRACE, Rule};
use crate::chaos::ledger::{Answered, Record, Start};

pub(super) fn broken(record: &Record, starts: &[Start]) -> Vec<Rule> {
    let mut broken = match record.answers.len() {
        0 => vec![Rule::Answered],
        1 => Vec::new(),
        _ => vec![Rule::AnsweredOnce],
    };
    for answer in &record.answers {
        let rules = [
            (Rule::RightClient, is_for_its_client(record, answer)),
            (Rule::OwnContent, has_own_content(record, answer)),
            (Rule::InTime, is_in_time(record, answer)),
            (Rule::Ran, has_run(answer, starts)),
        ];
        broken.extend(rules.into_iter().filter(|(_, holds)| !holds).map(|(rule, _)| rule));
    }
    broken
}

fn is_for_its_client(record: &Record, answer: &Answered) -> bool {
    record.sent.iter().any(|sent| sent.client == answer.client)
}

fn has_own_content(record: &Record, answer: &Answered) -> bool {
    let own = answer.wrote.as_deref() == Some(&*record.job.id);
    if answer.code == 200 { own } else { answer.wrote.is_none() }
}

fn is_in_time(record: &Record, answer: &Answered) -> bool {
    let last = record.sent.iter().map(|sent| sent.at).filter(|at| *at <= answer.at).max();
    last.is_some_and(|at| answer.at <= at + record.job.deadline + GRACE)
}

/// The workers of a run are called by their seats.
fn has_run(answer: &Answered, starts: &[Start]) -> bool {
    let there = |start: &&Start| answer.worker == Some(format!("chaos-{}", start.seat));
    !matches!(answer.code, 200 | 513 | 514) || starts.iter().any(|start| there(&start))
}
