//! What is due: the end of the recovery, deadlines, heartbeats, silence.

use strum::IntoEnumIterator;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::worker::FromRouter;

use crate::dispatch::action::Turn;
use crate::dispatch::ids::{JobNo, WorkerId};
use crate::dispatch::workers::HELLO_REQUEST_INTERVAL;
use crate::dispatch::{Dispatch, Ending, Time};

impl Dispatch {
    pub(crate) fn tick(&mut self, turn: &mut Turn<'_>) {
        if self.recovering && turn.now >= self.recover_until {
            self.end_recovery(turn);
        }
        if turn.now >= self.next_silence {
            self.lose_silent(turn);
        }
        // Last: what happened until here may have made more jobs due.
        while let Some(no) = self.jobs.take_fired(turn.now) {
            self.expire(no, turn);
        }
        if turn.now >= self.next_beat {
            self.next_beat = turn.now + self.settings.heartbeat;
            self.beat(turn);
            self.answers.expire(self.settings.store_ttl, turn.now);
            self.poison.expire(self.settings.poison_ttl, turn.now);
            self.asked.retain(|_, at| turn.now < *at + HELLO_REQUEST_INTERVAL);
            self.returning.retain(|returning| returning.until > turn.now);
        }
    }

    /// Every worker that is there has said what it holds: what waited is given out, or refused.
    fn end_recovery(&mut self, turn: &mut Turn<'_>) {
        self.recovering = false;
        for channel in Channel::iter() {
            self.pump(channel, turn);
        }
        self.refuse_unserved(turn);
        self.refuse_all_failed(turn);
    }

    /// True if the job's time is over, or that of one who waits for it; the job may be gone then.
    pub(crate) fn expire_if_due(&mut self, no: JobNo, turn: &mut Turn<'_>) -> bool {
        let due = self.jobs.get(no).is_some_and(|job| job.due(self.settings.min_start) <= turn.now);
        if due {
            self.expire(no, turn);
        }
        due
    }

    fn expire(&mut self, no: JobNo, turn: &mut Turn<'_>) {
        let impatient = self.jobs.take_impatient(no, self.settings.min_start, turn.now);
        for waiting in &impatient {
            turn.answer(waiting.waiter, Ending::new(Reason::Deadline, "deadline_ms is over"));
        }
        let Some(job) = self.jobs.get(no) else { return };
        let abandoned = job.waiters.is_empty() && !impatient.is_empty();
        if abandoned || job.due(self.settings.min_start) <= turn.now {
            let ending = self.expiry(no);
            self.finish(no, ending, turn);
        } else {
            self.jobs.arm(no, self.settings.min_start);
        }
    }

    fn expiry(&self, no: JobNo) -> Ending {
        let Some(job) = self.jobs.get(no) else { return Ending::new(Reason::Deadline, "") };
        if job.back_until.is_some() {
            return Ending::new(
                Reason::WorkerLost,
                "the builder was lost and did not come back with the build",
            );
        }
        let reason = match (job.queued, job.lost) {
            (false, _) => Reason::Deadline,
            (true, 0) => Reason::QueueDeadline,
            (true, _) => Reason::WorkerLost,
        };
        Ending::new(reason, "")
    }

    fn lose_silent(&mut self, turn: &mut Turn<'_>) {
        let silence = self.settings.silence;
        let silent: Vec<WorkerId> = self
            .workers
            .connected()
            .filter(|(_, worker, _)| worker.heard + silence <= turn.now)
            .map(|(id, ..)| id)
            .collect();
        for id in silent {
            self.lose(id, turn);
        }
        self.next_silence = self.first_silence(turn.now);
    }

    /// When the worker that was heard of first would be lost; later ones have their turn after that.
    fn first_silence(&self, now: Time) -> Time {
        let first = self.workers.connected().map(|(_, worker, _)| worker.heard).min();
        first.unwrap_or(now) + self.settings.silence
    }

    /// Tells every worker that the router is there.
    pub(crate) fn beat(&self, turn: &mut Turn<'_>) {
        for (_, _, peer) in self.workers.connected() {
            turn.send(peer, FromRouter::Heartbeat);
        }
    }

    /// The process stood still: what workers said meanwhile is read, but their silence proves nothing.
    pub(crate) fn forgive(&mut self, by: Time, turn: &Turn<'_>) {
        let ids: Vec<WorkerId> = self.workers.connected().map(|(id, ..)| id).collect();
        for id in ids {
            if let Some(worker) = self.workers.get_mut(id) {
                worker.heard = (worker.heard + by).min(turn.now);
            }
        }
        if self.recovering {
            self.recover_until += by;
        }
        self.next_silence = self.first_silence(turn.now);
    }
}
