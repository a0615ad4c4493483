//! Checks that each job has one answer, with its own content, to the right client, in time.

use super::{ANSWER_GRACE, Rule};
use crate::chaos::history::{JobRecord, JobStart, ReceivedAnswer};

pub(super) fn broken(record: &JobRecord, starts: &[JobStart]) -> Vec<Rule> {
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

fn is_for_its_client(record: &JobRecord, answer: &ReceivedAnswer) -> bool {
    record.sent.iter().any(|sent| sent.client == answer.client)
}

fn has_own_content(record: &JobRecord, answer: &ReceivedAnswer) -> bool {
    let own = answer.wrote.as_deref() == Some(&*record.job.id);
    if answer.code == 200 { own } else { answer.wrote.is_none() }
}

fn is_in_time(record: &JobRecord, answer: &ReceivedAnswer) -> bool {
    let last = record.sent.iter().map(|sent| sent.at).filter(|at| *at <= answer.at).max();
    last.is_some_and(|at| answer.at <= at + record.job.deadline + ANSWER_GRACE)
}

/// Returns true if the job has run on the worker that the answer names, or need not have run.
fn has_run(answer: &ReceivedAnswer, starts: &[JobStart]) -> bool {
    !matches!(answer.code, 200 | 513 | 514)
        || starts.iter().any(|start| answer.worker == Some(format!("chaos-{}", start.node)))
}
