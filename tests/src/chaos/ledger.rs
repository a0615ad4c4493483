//! What a run saw: each request and answer, each start of a container, each fault.

use std::collections::BTreeMap;

pub use super::clock::Time;
use super::fault::{Fault, Kind};
use super::plan::Job;

/// A request, each time it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// When.
    pub at: Time,
    /// By which client.
    pub client: usize,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// When.
    pub at: Time,
    /// To which client.
    pub client: usize,
    /// The status code.
    pub code: u16,
    /// The reason's word.
    pub reason: String,
    /// The id that the container wrote into its result.
    pub wrote: Option<String>,
    /// The worker that ran the job.
    pub worker: Option<String>,
    /// Which attempt it was.
    pub attempt: Option<u32>,
}

/// What became of a request.
#[derive(Debug, Clone)]
pub struct Record {
    /// What was asked.
    pub job: Job,
    /// At first, and after each death of the router.
    pub sent: Vec<Sent>,
    /// One, if all is well.
    pub answers: Vec<Answered>,
}

/// How a run of a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With a result.
    Result,
    /// Its worker gave the job back.
    GivenBack,
}

/// A job put into a slot, as a worker's log tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// When.
    pub at: Time,
    /// The worker's seat.
    pub seat: usize,
    /// The job's id.
    pub id: String,
    /// The router's start that sent it.
    pub epoch: String,
    /// The attempt's token.
    pub token: String,
    /// The number of the attempt.
    pub attempt: u32,
    /// When and how it ended, unless its worker died before.
    pub end: Option<(Time, End)>,
}

/// A fault that was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// What.
    pub fault: Fault,
    /// Since when.
    pub from: Time,
    /// Until when, if it has ended.
    pub to: Option<Time>,
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// By the job's id.
    pub records: BTreeMap<String, Record>,
    /// Answers to ids that were never sent.
    pub strays: Vec<Answered>,
    /// By the job's id, in order of time.
    pub starts: BTreeMap<String, Vec<Start>>,
    /// In order of their beginnings.
    pub troubles: Vec<Trouble>,
    /// What was found wrong while it ran, or at rest.
    pub complaints: Vec<String>,
}

impl Ledger {
    /// A request was sent.
    pub fn sent(&mut self, job: &Job, sent: Sent) {
        let record = self.records.entry(job.id.clone()).or_insert_with(|| Record {
            job: job.clone(),
            sent: Vec::new(),
            answers: Vec::new(),
        });
        record.sent.push(sent);
    }

    /// An answer came that names this id.
    pub fn answered(&mut self, id: &str, answer: Answered) {
        match self.records.get_mut(id) {
            Some(record) => record.answers.push(answer),
            None => self.strays.push(answer),
        }
    }

    /// How many requests have an answer.
    #[must_use]
    pub fn answers(&self) -> usize {
        self.records.values().filter(|record| !record.answers.is_empty()).count()
    }

    /// A fault begins.
    pub fn begins(&mut self, fault: Fault, from: Time) {
        self.troubles.push(Trouble { fault, from, to: None });
    }

    /// A fault ends.
    pub fn ends(&mut self, fault: Fault, to: Time) {
        let open = self.troubles.iter_mut().rev().find(|trouble| trouble.fault == fault);
        if let Some(trouble) = open.filter(|trouble| trouble.to.is_none()) {
            trouble.to = Some(to);
        }
    }

    /// Adds what a worker's log tells.
    pub fn add_starts(&mut self, starts: Vec<Start>) {
        for start in starts {
            self.starts.entry(start.id.clone()).or_default().push(start);
        }
        self.starts.values_mut().for_each(|starts| starts.sort_by_key(|start| start.at));
    }

    /// How many faults of a kind there were.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.troubles.iter().filter(|trouble| trouble.fault.kind() == kind).count()
    }
}
