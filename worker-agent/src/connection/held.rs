//! The jobs that a worker holds: in hand, or ended and not yet the router's.

use std::collections::BTreeMap;

use trackyard_protocol::token::{JobKey, Token};
use trackyard_protocol::worker::{FromWorker, HeldJob, HeldState, JobResult, Returned};

use super::event::Ended;

/// Results that may wait for their acknowledgement before new jobs are refused. A router that acknowledges nothing
/// must not fill the worker's memory.
pub(super) const MAX_FINISHED: usize = 256;
/// Bytes of such results.
pub(super) const MAX_FINISHED_BYTES: usize = 64 << 20;

#[derive(Debug)]
enum State {
    Running,
    Finished { result: Box<JobResult>, sent: bool },
    Returned { why: &'static str },
}

#[derive(Debug)]
struct Entry {
    key: JobKey,
    state: State,
}

/// By the router's token.
#[derive(Debug, Default)]
pub(super) struct Held {
    jobs: BTreeMap<Token, Entry>,
    running: usize,
    finished: usize,
    finished_bytes: usize,
}

impl Held {
    pub(super) const fn running(&self) -> usize {
        self.running
    }

    pub(super) const fn finished(&self) -> usize {
        self.finished
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// True if no more results may be kept, those of the jobs in hand counted.
    pub(super) const fn is_full(&self) -> bool {
        self.finished + self.running >= MAX_FINISHED || self.finished_bytes >= MAX_FINISHED_BYTES
    }

    pub(super) fn start(&mut self, token: Token, key: JobKey) {
        let new = Entry { key, state: State::Running };
        if self.jobs.insert(token, new).is_none() {
            self.running += 1;
        }
    }

    /// What to say about a job that the router sends a second time; `None` if it is not held.
    pub(super) fn repeat(&mut self, token: Token) -> Option<HeldState> {
        let entry = self.jobs.get_mut(&token)?;
        Some(match &mut entry.state {
            State::Running => HeldState::Running,
            State::Returned { .. } => HeldState::Finished,
            State::Finished { sent, .. } => {
                *sent = false;
                HeldState::Finished
            }
        })
    }

    pub(super) fn is_running(&self, token: Token) -> bool {
        self.jobs.get(&token).is_some_and(|entry| matches!(entry.state, State::Running))
    }

    pub(super) fn running_tokens(&self) -> Vec<Token> {
        self.jobs.keys().copied().filter(|token| self.is_running(*token)).collect()
    }

    /// A job left its slot. One that is not in hand changes nothing.
    pub(super) fn end(&mut self, ended: Ended) {
        let token = match &ended {
            Ended::Result(result) => result.token,
            Ended::Returned { token, .. } => *token,
        };
        let Some(entry) = self.jobs.get_mut(&token) else { return };
        if !matches!(entry.state, State::Running) {
            return;
        }
        self.running -= 1;
        entry.state = match ended {
            Ended::Result(result) => {
                self.finished += 1;
                self.finished_bytes += size(&result);
                State::Finished { result: Box::new(result), sent: false }
            }
            Ended::Returned { why, .. } => State::Returned { why },
        };
    }

    pub(super) fn acknowledge(&mut self, token: Token) {
        if let Some(Entry { state: State::Finished { result, .. }, .. }) = self.jobs.get(&token) {
            self.finished -= 1;
            self.finished_bytes -= size(result);
            self.jobs.remove(&token);
        }
    }

    /// What `Hello` says. A job whose `Returned` was not sent is still in hand, as far as a router is concerned.
    pub(super) fn list(&self) -> Vec<HeldJob> {
        let state = |state: &State| match state {
            State::Running | State::Returned { .. } => HeldState::Running,
            State::Finished { .. } => HeldState::Finished,
        };
        self.jobs
            .iter()
            .map(|(token, entry)| HeldJob { token: *token, key: entry.key, state: state(&entry.state) })
            .collect()
    }

    /// After a `Hello` every result is sent again.
    pub(super) fn send_anew(&mut self) {
        for entry in self.jobs.values_mut() {
            if let State::Finished { sent, .. } = &mut entry.state {
                *sent = false;
            }
        }
    }

    /// What was not sent since the last `Hello`; it counts as sent from now on.
    pub(super) fn unsent(&mut self) -> Vec<FromWorker> {
        let mut out = Vec::new();
        self.jobs.retain(|token, entry| match &mut entry.state {
            State::Running => true,
            State::Returned { why } => {
                out.push(FromWorker::Returned(Returned { token: *token, why: (*why).to_owned() }));
                false
            }
            State::Finished { result, sent } => {
                if !std::mem::replace(sent, true) {
                    out.push(FromWorker::Result(result.clone()));
                }
                true
            }
        });
        out
    }
}

fn size(result: &JobResult) -> usize {
    result.response.len() + result.context.len() + result.verdict.message.len()
}
