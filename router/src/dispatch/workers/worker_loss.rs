//! Workers that are lost or leave. The jobs of a lost worker run elsewhere, unless it comes back with them.

use super::attempt::AttemptState;
use super::bounds::MAX_RESTARTING;
use super::worker::{RestartingWorker, WorkerInfo};
use crate::dispatch::action::Effects;
use crate::dispatch::ids::{JobIndex, WorkerId};
use crate::dispatch::{Counter, Dispatch, Peer, Time};

impl Dispatch {
    /// Handles a closed connection.
    pub(crate) fn on_disconnect(&mut self, peer: Peer, effects: &mut Effects<'_>) {
        if let Some(id) = self.workers.by_peer(peer) {
            self.on_worker_lost(id, effects);
        }
    }

    /// Handles a worker that fell silent or whose connection closed. Its jobs run elsewhere; it may come back with them.
    pub(crate) fn on_worker_lost(&mut self, id: WorkerId, effects: &mut Effects<'_>) {
        effects.count(Counter::WorkerLost);
        let detached = self.detach_attempts(id);
        self.disconnect(id, effects.now);
        self.forget_if_idle(id);
        self.retry_all(detached, effects);
    }

    /// Removes a worker that said goodbye, or whose name a new incarnation took. Returns its jobs, which it cannot bring
    /// back.
    pub(crate) fn remove_worker(&mut self, id: WorkerId, effects: &Effects<'_>) -> Vec<JobIndex> {
        let is_connected = self.workers.get(id).is_some_and(|worker| worker.peer.is_some());
        let detached = if is_connected { self.detach_attempts(id) } else { Vec::new() };
        self.disconnect(id, effects.now);
        let held: Vec<_> =
            self.workers.get(id).map(|w| w.in_flight.iter().copied().collect()).unwrap_or_default();
        for token in held {
            self.close_attempt(id, token);
        }
        self.forget_worker(id);
        detached
    }

    /// Detaches a worker's attempts from their jobs and returns the jobs. The attempts stay open, because the worker may
    /// come back with them. Only attempts that it had accepted count as lost.
    pub(crate) fn detach_attempts(&mut self, id: WorkerId) -> Vec<JobIndex> {
        let mut jobs = Vec::new();
        let in_flight = self.workers.get(id).map(|worker| worker.in_flight.clone()).unwrap_or_default();
        for token in in_flight {
            let Some(attempt) = self.attempts.get_mut(token) else { continue };
            let Some(job) = attempt.job.and_then(|index| self.jobs.get_mut(index)) else { continue };
            job.live_attempts = job.live_attempts.saturating_sub(1);
            attempt.detached = true;
            attempt.counted_lost = attempt.state == AttemptState::Accepted;
            job.lost_attempts += u32::from(attempt.counted_lost);
            jobs.extend(attempt.job);
        }
        jobs
    }

    /// Lets jobs wait for a worker that leaves to bootstrap again.
    fn expect_restart(&mut self, id: WorkerId, now: Time) {
        if let Some(worker) = self.workers.get(id).filter(|worker| worker.restarting && worker.peer.is_some())
            && self.restarting.len() < MAX_RESTARTING
        {
            let WorkerInfo { channel, topics, .. } = &worker.info;
            let until = now + self.settings.queue_max_wait;
            self.restarting.push(RestartingWorker { until, channel: *channel, topics: topics.clone() });
        }
    }

    /// Separates a worker from its connection. Closes attempts that nobody waits for, because their slots are gone.
    fn disconnect(&mut self, id: WorkerId, now: Time) {
        self.expect_restart(id, now);
        self.unregister_versions(id);
        self.workers.connect(id, None);
        self.workers.update_rank(id);
        let in_flight = self.workers.get(id).map(|worker| worker.in_flight.clone()).unwrap_or_default();
        for token in in_flight {
            if self.attempts.get(token).is_some_and(|attempt| attempt.job.is_none()) {
                self.close_attempt(id, token);
            }
        }
    }
}
