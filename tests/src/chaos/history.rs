//! The history of a run: each request and answer, each start of a container, each fault.

use std::collections::BTreeMap;

pub use super::clock::Time;
use super::fault::{Fault, FaultKind};
use super::plan::Job;

/// One sending of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// When it was sent.
    pub at: Time,
    /// The client that sent it.
    pub client: usize,
}

/// An answer that a client received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedAnswer {
    /// When it was received.
    pub at: Time,
    /// The client that received it.
    pub client: usize,
    /// The status code.
    pub code: u16,
    /// The reason's name; empty if the answer has none.
    pub reason: String,
    /// The id that the container wrote into its result.
    pub wrote: Option<String>,
    /// The worker that ran the job.
    pub worker: Option<String>,
    /// The number of the attempt that it answers.
    pub attempt: Option<u32>,
}

/// What clients did and saw of one job.
#[derive(Debug, Clone)]
pub struct JobRecord {
    /// The job.
    pub job: Job,
    /// The first sending, and one after each death of the router.
    pub sent: Vec<Sent>,
    /// The answers; exactly one, if all is well.
    pub answers: Vec<ReceivedAnswer>,
}

/// How a run of a job on a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobEnd {
    /// The worker sent a result.
    Result,
    /// The worker gave the job back.
    GivenBack,
}

/// The start of a job in a worker's slot, as the worker logged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobStart {
    /// When it started.
    pub at: Time,
    /// The worker's node.
    pub node: usize,
    /// The job's id.
    pub id: String,
    /// The epoch of the router that sent it.
    pub epoch: String,
    /// The attempt's token.
    pub token: String,
    /// The number of the attempt.
    pub attempt: u32,
    /// When and how it ended, unless its worker died before.
    pub end: Option<(Time, JobEnd)>,
}

/// A fault that was injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InjectedFault {
    /// The fault.
    pub fault: Fault,
    /// When it began.
    pub from: Time,
    /// When it ended, unless it is still in effect.
    pub to: Option<Time>,
}

/// Everything that a run saw.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// What clients saw, by the job's id.
    pub records: BTreeMap<String, JobRecord>,
    /// Answers to ids that were never sent.
    pub unexpected_answers: Vec<ReceivedAnswer>,
    /// Job starts by the job's id, each list in order of time.
    pub starts: BTreeMap<String, Vec<JobStart>>,
    /// The injected faults, in order of their beginnings.
    pub faults: Vec<InjectedFault>,
    /// Problems found while the run went on, or when the processes were idle after it.
    pub problems: Vec<String>,
}

impl History {
    /// Records that a request was sent.
    pub fn request_sent(&mut self, job: &Job, sent: Sent) {
        let record = self.records.entry(job.id.clone()).or_insert_with(|| JobRecord {
            job: job.clone(),
            sent: Vec::new(),
            answers: Vec::new(),
        });
        record.sent.push(sent);
    }

    /// Records an answer to the job `id`.
    pub fn answer_received(&mut self, id: &str, answer: ReceivedAnswer) {
        match self.records.get_mut(id) {
            Some(record) => record.answers.push(answer),
            None => self.unexpected_answers.push(answer),
        }
    }

    /// Returns the number of jobs that have an answer.
    #[must_use]
    pub fn answered_jobs(&self) -> usize {
        self.records.values().filter(|record| !record.answers.is_empty()).count()
    }

    /// Records that a fault began.
    pub fn fault_began(&mut self, fault: Fault, from: Time) {
        self.faults.push(InjectedFault { fault, from, to: None });
    }

    /// Records that a fault ended.
    pub fn fault_ended(&mut self, fault: Fault, to: Time) {
        let last = self.faults.iter_mut().rev().find(|injected| injected.fault == fault);
        if let Some(injected) = last.filter(|injected| injected.to.is_none()) {
            injected.to = Some(to);
        }
    }

    /// Adds job starts from a worker's log.
    pub fn add_starts(&mut self, starts: Vec<JobStart>) {
        for start in starts {
            self.starts.entry(start.id.clone()).or_default().push(start);
        }
        self.starts.values_mut().for_each(|starts| starts.sort_by_key(|start| start.at));
    }

    /// Returns the number of faults of a kind.
    #[must_use]
    pub fn count(&self, kind: FaultKind) -> usize {
        self.faults.iter().filter(|injected| injected.fault.kind() == kind).count()
    }
}
