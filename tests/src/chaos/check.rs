//! Checks the rules that must hold whatever went wrong. The checker reads a [`History`] and nothing else.
//!
//! **Answers.** Each request has one answer. It goes to the client that sent the request, at most the deadline and
//! [`ANSWER_GRACE`] after the last sending. The answer to a job that succeeded holds what its own container wrote.
//!
//! **Verdicts.** A job ends as its container does: 200, 513 `exit_code` or 514 `missing`. Other verdicts need a fault
//! that explains them: one of the right kind that was in effect at some time between the request and its answer, or had
//! ended less than [`MAX_RECOVERY`] before:
//!
//! | verdict | explained by |
//! | --- | --- |
//! | 503 `no_worker` | a fault that parts workers and router |
//! | 504 | the same, S3, the registry, the version coming and going, or a deadline below [`SHORT_DEADLINE`] |
//! | 505 | the version coming and going |
//! | 510 `poison` | two runs on workers that a fault disconnected from the router |
//! | 510 `canary_failed` | the worker's disk |
//! | 511 | the version coming and going, the registry, or a disk |
//! | 512 `download` | S3, if the submission is there; a disk; a worker that was frozen |
//! | other 512 | a disk |
//!
//! **Runs.** No job has a third attempt, and neither of the two runs twice. A run does not count as an attempt if its
//! worker gave it back, or was disconnected within [`MAX_ACCEPT_DELAY`], so that the router may not know of it. A job
//! starts again only if its worker was disconnected meanwhile or gave it back, or the router died. A job does not start
//! after its answer, except on a worker that could not know.

mod active_faults;
mod answers;
mod runs;
#[cfg(test)]
mod tests;
mod verdicts;

use std::fmt;
use std::time::Duration;

use super::history::History;

/// How much later than its deadline an answer may be received; both sides are processes of a busy machine.
pub const ANSWER_GRACE: Duration = Duration::from_millis(1500);
/// How long a fault has effects after its end: a worker starts, is missed for three seconds, says hello.
pub const MAX_RECOVERY: Duration = Duration::from_secs(8);
/// How long a worker and the router may disagree after a fault: the heartbeat timeout.
pub const MAX_DISAGREEMENT: Duration = Duration::from_millis(3500);
/// How long the message that a worker accepted a job may take.
pub const MAX_ACCEPT_DELAY: Duration = Duration::from_secs(1);
/// A job with a deadline below this may miss it without a fault.
pub const SHORT_DEADLINE: Duration = Duration::from_secs(20);

/// A rule that must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Each request has an answer.
    Answered,
    /// No request has two answers, and each answer has a request.
    AnsweredOnce,
    /// An answer goes to the client that sent the request.
    RightClient,
    /// An answer holds what the job's own container wrote.
    OwnContent,
    /// An answer is not late.
    InTime,
    /// An answer says how the job ended, or a fault explains it.
    RightVerdict,
    /// A job that succeeded has run, on the worker that the answer names.
    Ran,
    /// No job runs more often than allowed.
    Attempts,
    /// No job is started while the router must assume that it still runs elsewhere.
    OneAtATime,
    /// No job runs after its answer.
    NoRunAfterAnswer,
    /// No problem was noted while the run went on, or when the processes were idle after it.
    NoProblem,
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// What broke it.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.detail)
    }
}

/// Returns every broken rule.
#[must_use]
pub fn violations(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    for answer in &history.unexpected_answers {
        found.push(Violation { rule: Rule::AnsweredOnce, detail: format!("no request for {answer:?}") });
    }
    for record in history.records.values() {
        let starts = history.starts.get(&record.job.id).map_or(&[][..], Vec::as_slice);
        let mut broken: Vec<Rule> = answers::broken(record, starts);
        broken.extend(verdicts::broken(record, starts, history));
        broken.extend(runs::broken(record, starts, history));
        found.extend(
            broken.into_iter().map(|rule| Violation { rule, detail: format!("{record:?}, {starts:?}") }),
        );
    }
    for id in history.starts.keys().filter(|id| !history.records.contains_key(*id)) {
        found.push(Violation { rule: Rule::Attempts, detail: format!("no request for the job {id}") });
    }
    let problems = history.problems.iter().cloned();
    found.extend(problems.map(|detail| Violation { rule: Rule::NoProblem, detail }));
    found
}
