//! What must hold, whatever went wrong. The checker reads a [`Ledger`] and nothing else.
//!
//! **Answers.** Each request has one answer, which goes to the client that sent it, not later than its deadline and
//! [`GRACE`] after it was last sent. An answer to a job that ran well holds what its own container wrote.
//!
//! **Verdicts.** A job ends as its container does: 200, 513 `exit_code` or 514 `missing`. Other verdicts are right only
//! if a fault explains them, that is, if one of the right kind was there at some time between the request and its
//! answer, or had ended less than [`AFTERMATH`] before:
//!
//! | verdict | explained by |
//! | --- | --- |
//! | 503 `no_worker` | a fault that parts workers and router |
//! | 504 | the same, S3, the registry, the version coming and going, or a deadline below [`HASTE`] |
//! | 505 | the version coming and going |
//! | 510 `poison` | two runs on workers that a fault had parted from the router |
//! | 510 `canary_failed` | the worker's disk |
//! | 511 | the version coming and going, the registry, or a disk |
//! | 512 `download` | S3, if the submission is there; a disk; a worker that was frozen |
//! | other 512 | a disk |
//!
//! **Runs.** No worker is sent a third attempt, and none of the two runs twice; a run that its worker gave back is no
//! attempt, nor is one of which the router cannot have heard: its worker was parted from it within [`WORD`]. A job
//! starts again only if its worker was parted from the router meanwhile or gave it back, or the router died. After its
//! answer it does not start, but on a worker that could not know.

mod answers;
mod runs;
#[cfg(test)]
mod tests;
mod troubles;
mod verdicts;

use std::fmt;
use std::time::Duration;

use super::ledger::Ledger;

/// How much later than at its deadline an answer may be seen: both sides are processes of a busy machine.
pub const GRACE: Duration = Duration::from_millis(1500);
/// For how long a fault is felt after its end: a worker starts, is missed for three seconds, says hello.
pub const AFTERMATH: Duration = Duration::from_secs(8);
/// For how long a worker and its router may see things differently after it: as long as a silence may last.
pub const ECHO: Duration = Duration::from_millis(3500);
/// How long the word that a worker took a job may be on its way.
pub const WORD: Duration = Duration::from_secs(1);
/// A job with a deadline below this may be late without a fault.
pub const HASTE: Duration = Duration::from_secs(20);

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Each request has an answer.
    Answered,
    /// No request has two, and nobody gets one to what was never asked.
    AnsweredOnce,
    /// It goes to whoever asked.
    RightClient,
    /// It holds what the job's own container wrote.
    OwnContent,
    /// It is not late.
    InTime,
    /// It says how the job ended, or a fault explains it.
    RightVerdict,
    /// A job that ended well has run, on the worker that is named.
    Ran,
    /// No job runs more often than it may.
    Attempts,
    /// No job runs while it still runs elsewhere for all that the router knows.
    OneAtATime,
    /// No job runs after its answer.
    OverIsOver,
    /// What was found wrong while the run went on, or at rest after it.
    AtRest,
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// How.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.detail)
    }
}

/// All that is wrong.
#[must_use]
pub fn violations(ledger: &Ledger) -> Vec<Violation> {
    let mut found = Vec::new();
    for stray in &ledger.strays {
        found.push(Violation { rule: Rule::AnsweredOnce, detail: format!("nobody asked for {stray:?}") });
    }
    for record in ledger.records.values() {
        let starts = ledger.starts.get(&record.job.id).map_or(&[][..], Vec::as_slice);
        let mut broken: Vec<Rule> = answers::broken(record, starts);
        broken.extend(verdicts::broken(record, starts, ledger));
        broken.extend(runs::broken(record, starts, ledger));
        let detail = || format!("{record:?}, {starts:?}");
        found.extend(broken.into_iter().map(|rule| Violation { rule, detail: detail() }));
    }
    for id in ledger.starts.keys().filter(|id| !ledger.records.contains_key(*id)) {
        found.push(Violation { rule: Rule::Attempts, detail: format!("nobody asked for the job {id}") });
    }
    let complaints = ledger.complaints.iter().cloned();
    found.extend(complaints.map(|detail| Violation { rule: Rule::AtRest, detail }));
    found
}
