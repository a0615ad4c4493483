//! What is due at a given time: the end of the recovery, deadlines, heartbeats, silent workers.

use strum::IntoEnumIterator;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::worker::FromRouter;

use crate::dispatch::action::Effects;
use crate::dispatch::ids::{JobIndex, WorkerId};
use crate::dispatch::workers::HELLO_REQUEST_INTERVAL;
use crate::dispatch::{Dispatch, Ending, Time};

impl Dispatch {
    /// Does everything that is due.
    pub(crate) fn on_tick(&mut self, effects: &mut Effects<'_>) {
        if self.recovering && effects.now >= self.recovery_ends {
            self.end_recovery(effects);
        }
        if effects.now >= self.next_silence_check {
            self.lose_silent_workers(effects);
        }
        // After the above, which may have made more jobs due.
        while let Some(index) = self.jobs.take_due(effects.now) {
            self.expire(index, effects);
        }
        if effects.now >= self.next_heartbeat {
            self.next_heartbeat = effects.now + self.settings.heartbeat;
            self.send_heartbeats(effects);
            self.answers.expire(self.settings.store_ttl, effects.now);
            self.poison.expire(self.settings.poison_ttl, effects.now);
            self.hello_requests.retain(|_, at| effects.now < *at + HELLO_REQUEST_INTERVAL);
            self.restarting.retain(|restarting| restarting.until > effects.now);
        }
    }

    /// Dispatches or refuses the waiting jobs, now that every connected worker has reported what it holds.
    fn end_recovery(&mut self, effects: &mut Effects<'_>) {
        self.recovering = false;
        for channel in Channel::iter() {
            self.dispatch_waiting(channel, effects);
        }
        self.refuse_unserved(effects);
        self.refuse_all_failed(effects);
    }

    /// Expires a job whose deadline, or that of one of its waiters, has come; returns true if so. The job may be removed.
    pub(crate) fn expire_if_due(&mut self, index: JobIndex, effects: &mut Effects<'_>) -> bool {
        let due = self.jobs.get(index).is_some_and(|job| job.due(self.settings.min_start) <= effects.now);
        if due {
            self.expire(index, effects);
        }
        due
    }

    fn expire(&mut self, index: JobIndex, effects: &mut Effects<'_>) {
        let expired = self.jobs.take_expired(index, self.settings.min_start, effects.now);
        for expired in &expired {
            effects.answer(expired.waiter, Ending::new(Reason::Deadline, "deadline_ms is over"));
        }
        let Some(job) = self.jobs.get(index) else { return };
        let abandoned = job.waiters.is_empty() && !expired.is_empty();
        if abandoned || job.due(self.settings.min_start) <= effects.now {
            let ending = self.expiry_ending(index);
            self.finish(index, ending, effects);
        } else {
            self.jobs.set_timer(index, self.settings.min_start);
        }
    }

    fn expiry_ending(&self, index: JobIndex) -> Ending {
        let Some(job) = self.jobs.get(index) else { return Ending::new(Reason::Deadline, "") };
        if job.return_deadline.is_some() {
            return Ending::new(
                Reason::WorkerLost,
                "the builder was lost and did not come back with the build",
            );
        }
        let reason = match (job.queued, job.lost_attempts) {
            (false, _) => Reason::Deadline,
            (true, 0) => Reason::QueueDeadline,
            (true, _) => Reason::WorkerLost,
        };
        Ending::new(reason, "")
    }

    fn lose_silent_workers(&mut self, effects: &mut Effects<'_>) {
        let silence = self.settings.silence;
        let silent: Vec<WorkerId> = self
            .workers
            .connected()
            .filter(|(_, worker, _)| worker.last_heard + silence <= effects.now)
            .map(|(id, ..)| id)
            .collect();
        for id in silent {
            self.on_worker_lost(id, effects);
        }
        self.next_silence_check = self.next_silence(effects.now);
    }

    /// Returns when the worker that was heard least recently would be lost.
    fn next_silence(&self, now: Time) -> Time {
        let oldest = self.workers.connected().map(|(_, worker, _)| worker.last_heard).min();
        oldest.unwrap_or(now) + self.settings.silence
    }

    fn send_heartbeats(&self, effects: &mut Effects<'_>) {
        for (_, _, peer) in self.workers.connected() {
            effects.send(peer, FromRouter::Heartbeat);
        }
    }

    /// Extends deadlines after the process stood still: messages that workers sent meanwhile are handled first, but the
    /// silence of workers in that time proves nothing.
    pub(crate) fn on_stall(&mut self, by: Time, effects: &Effects<'_>) {
        let ids: Vec<WorkerId> = self.workers.connected().map(|(id, ..)| id).collect();
        for id in ids {
            if let Some(worker) = self.workers.get_mut(id) {
                worker.last_heard = (worker.last_heard + by).min(effects.now);
            }
        }
        if self.recovering {
            self.recovery_ends += by;
        }
        self.next_silence_check = self.next_silence(effects.now);
    }
}
