//! A worker is lost: its attempts are, unless it comes back, and their jobs run elsewhere.

use super::attempt::State;
use super::bounds::MAX_RESTARTING;
use super::worker::{About, Returning};
use crate::dispatch::action::Turn;
use crate::dispatch::ids::{JobNo, WorkerId};
use crate::dispatch::{Counter, Dispatch, Peer, Time};

impl Dispatch {
    /// A connection died.
    pub(crate) fn gone(&mut self, peer: Peer, turn: &mut Turn<'_>) {
        if let Some(id) = self.workers.by_peer(peer) {
            self.lose(id, turn);
        }
    }

    /// A worker fell silent or its connection died. It may come back with its jobs; until then they run elsewhere.
    pub(crate) fn lose(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        turn.count(Counter::WorkerLost);
        let stranded = self.strand(id);
        self.part(id, turn.now);
        self.forget_if_empty(id);
        self.retry_all(stranded, turn);
    }

    /// A worker said goodbye, or another start took its name: what it held never comes back.
    pub(crate) fn retire(&mut self, id: WorkerId, turn: &Turn<'_>) -> Vec<JobNo> {
        let connected = self.workers.get(id).is_some_and(|worker| worker.peer.is_some());
        let stranded = if connected { self.strand(id) } else { Vec::new() };
        self.part(id, turn.now);
        let held: Vec<_> = self.workers.get(id).map(|w| w.hand.iter().copied().collect()).unwrap_or_default();
        for token in held {
            self.close(id, token);
        }
        self.forget_worker(id);
        stranded
    }

    /// Takes a worker's attempts from their jobs' hands, without closing them: it may come back with them. Only
    /// what it had accepted counts as lost.
    pub(crate) fn strand(&mut self, id: WorkerId) -> Vec<JobNo> {
        let mut jobs = Vec::new();
        let hand = self.workers.get(id).map(|worker| worker.hand.clone()).unwrap_or_default();
        for token in hand {
            let Some(attempt) = self.attempts.get_mut(token) else { continue };
            let Some(job) = attempt.job.and_then(|no| self.jobs.get_mut(no)) else { continue };
            job.live = job.live.saturating_sub(1);
            attempt.stranded = true;
            attempt.blamed = attempt.state == State::Accepted;
            job.lost += u32::from(attempt.blamed);
            jobs.extend(attempt.job);
        }
        jobs
    }

    /// Jobs wait for a worker that left to bootstrap again.
    fn expect_back(&mut self, id: WorkerId, now: Time) {
        if let Some(worker) = self.workers.get(id).filter(|worker| worker.returning && worker.peer.is_some())
            && self.returning.len() < MAX_RESTARTING
        {
            let About { channel, topics, .. } = &worker.about;
            let until = now + self.settings.queue_max_wait;
            self.returning.push(Returning { until, channel: *channel, topics: topics.clone() });
        }
    }

    /// Ends a worker's connection. Attempts that nobody waits for are closed: their worker's slots are gone.
    fn part(&mut self, id: WorkerId, now: Time) {
        self.expect_back(id, now);
        self.detach_lanes(id);
        self.workers.connect(id, None);
        self.workers.refit(id);
        let hand = self.workers.get(id).map(|worker| worker.hand.clone()).unwrap_or_default();
        for token in hand {
            if self.attempts.get(token).is_some_and(|attempt| attempt.job.is_none()) {
                self.close(id, token);
            }
        }
    }
}
