//! The jobs that a worker holds: those that are running, and those that ended but are not acknowledged yet.

use std::collections::BTreeMap;

use trackyard_protocol::token::{JobKey, Token};
use trackyard_protocol::worker::{FromWorker, HeldJob, HeldState, JobResult, Returned};

use super::event::JobEnd;

/// Number of unacknowledged results at which new jobs are refused. A router that acknowledges nothing must not fill the
/// worker's memory.
pub(super) const MAX_UNACKNOWLEDGED_RESULTS: usize = 256;
/// Bytes of unacknowledged results at which new jobs are refused.
pub(super) const MAX_UNACKNOWLEDGED_BYTES: usize = 64 << 20;

#[derive(Debug)]
enum State {
    Running,
    Finished { result: Box<JobResult>, sent: bool },
    Returned { why: &'static str },
}

#[derive(Debug)]
struct HeldJobEntry {
    key: JobKey,
    state: State,
}

impl HeldJobEntry {
    fn describe(&self, token: Token) -> HeldJob {
        let is_finished = matches!(self.state, State::Finished { .. });
        let state = if is_finished { HeldState::Finished } else { HeldState::Running };
        HeldJob { token, key: self.key, state }
    }
}

/// The held jobs, by the router's token.
#[derive(Debug, Default)]
pub(super) struct HeldJobs {
    jobs: BTreeMap<Token, HeldJobEntry>,
    running: usize,
    finished: usize,
    finished_bytes: usize,
}

impl HeldJobs {
    pub(super) const fn running(&self) -> usize {
        self.running
    }

    pub(super) const fn finished(&self) -> usize {
        self.finished
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Returns whether new jobs are refused. Running jobs count as results.
    pub(super) const fn is_full(&self) -> bool {
        self.finished + self.running >= MAX_UNACKNOWLEDGED_RESULTS
            || self.finished_bytes >= MAX_UNACKNOWLEDGED_BYTES
    }

    pub(super) fn start(&mut self, token: Token, key: JobKey) {
        let new = HeldJobEntry { key, state: State::Running };
        if self.jobs.insert(token, new).is_none() {
            self.running += 1;
        }
    }

    /// Returns the state of a job that the router sends again, or `None` if it is not held. A result is sent again.
    pub(super) fn on_duplicate(&mut self, token: Token) -> Option<HeldState> {
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

    /// Handles the end of a job. A job that is not running is ignored.
    pub(super) fn on_ended(&mut self, ended: JobEnd) {
        let token = match &ended {
            JobEnd::Result(result) => result.token,
            JobEnd::Returned { token, .. } => *token,
        };
        let Some(entry) = self.jobs.get_mut(&token) else { return };
        if !matches!(entry.state, State::Running) {
            return;
        }
        self.running -= 1;
        entry.state = match ended {
            JobEnd::Result(result) => {
                self.finished += 1;
                self.finished_bytes += size(&result);
                State::Finished { result: Box::new(result), sent: false }
            }
            JobEnd::Returned { why, .. } => State::Returned { why },
        };
    }

    pub(super) fn acknowledge(&mut self, token: Token) {
        if let Some(HeldJobEntry { state: State::Finished { result, .. }, .. }) = self.jobs.get(&token) {
            self.finished -= 1;
            self.finished_bytes -= size(result);
            self.jobs.remove(&token);
        }
    }

    /// Returns the jobs for `Hello`. For the router, a job whose `Returned` was not sent is still running.
    pub(super) fn list(&self) -> Vec<HeldJob> {
        self.jobs.iter().map(|(token, entry)| entry.describe(*token)).collect()
    }

    /// Marks every result to be sent again.
    pub(super) fn resend_all(&mut self) {
        for entry in self.jobs.values_mut() {
            if let State::Finished { sent, .. } = &mut entry.state {
                *sent = false;
            }
        }
    }

    /// Returns the messages that were not sent since the last `Hello`, and marks them as sent.
    pub(super) fn take_unsent(&mut self) -> Vec<FromWorker> {
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
