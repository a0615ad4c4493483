//! Leaving, or starting anew: no more jobs, those in hand are finished or given back, then the end.

use std::time::Instant;

use trackyard_protocol::worker::FromWorker;

use super::event::{Action, Ended, Leave};
use super::{Connection, Phase};

/// A drain under way.
#[derive(Debug)]
pub(super) struct Draining {
    leave: Leave,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Jobs go on, until a time if there is one.
    Finishing { until: Option<Instant> },
    /// Jobs were stopped; those that do not end by then are given back all the same.
    Stopping { until: Instant },
    /// All jobs ended; the router should take the last results, but is not waited for for ever.
    Delivering { until: Instant },
    /// The configuration is being asked for.
    Bootstrapping,
}

impl Draining {
    pub(super) const fn is_bootstrapping(&self) -> bool {
        matches!(self.stage, Stage::Bootstrapping)
    }

    pub(super) const fn next_deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Finishing { until } => until,
            Stage::Stopping { until } | Stage::Delivering { until } => Some(until),
            Stage::Bootstrapping => None,
        }
    }
}

impl Connection {
    /// A more urgent wish replaces a less urgent one, never the other way.
    pub(super) fn start_draining(&mut self, leave: Leave, now: Instant, out: &mut Vec<Action>) {
        if self.draining.as_ref().is_some_and(|draining| draining.leave >= leave) {
            return;
        }
        if self.draining.is_none() && self.is_welcome() {
            out.push(Action::Send(FromWorker::Draining));
        }
        let until = match leave {
            Leave::Bootstrap | Leave::Exit => None,
            Leave::ExitInTime => Some(now + self.timing.drain),
            Leave::ExitNow => Some(now),
        };
        self.draining = Some(Draining { leave, stage: Stage::Finishing { until } });
    }

    /// Takes a drain as far as it goes now.
    pub(super) fn drain_on(&mut self, now: Instant, out: &mut Vec<Action>) {
        while let Some((leave, stage)) = self.draining.as_ref().map(|d| (d.leave, d.stage)) {
            let Some(next) = self.next_stage(leave, stage, now, out) else { return };
            match next {
                Some(stage) => self.draining = Some(Draining { leave, stage }),
                None => return self.leave(out),
            }
        }
    }

    /// `None`: stay. `Some(None)`: leave.
    #[expect(
        clippy::option_option,
        reason = "stay, go on or leave; an enum for one caller would say no more"
    )]
    fn next_stage(
        &mut self,
        leave: Leave,
        stage: Stage,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Option<Option<Stage>> {
        let idle = self.held.running() == 0;
        match stage {
            Stage::Bootstrapping => None,
            Stage::Finishing { .. } | Stage::Stopping { .. } if idle && leave == Leave::Bootstrap => {
                out.push(Action::Bootstrap);
                Some(Some(Stage::Bootstrapping))
            }
            Stage::Finishing { until } if idle => {
                // Never beyond the drain timeout: whoever sent SIGTERM kills soon after it.
                let least = now + self.timing.silence;
                let until = until.map_or(now + self.timing.drain, |until| until.max(least));
                Some(Some(Stage::Delivering { until }))
            }
            Stage::Finishing { until: Some(until) } if now >= until => {
                for token in self.held.running_tokens() {
                    self.stop(token, "draining", out);
                }
                Some(Some(Stage::Stopping { until: now + self.timing.kill }))
            }
            Stage::Stopping { until } if idle || now >= until => {
                self.give_back_all(out);
                Some(Some(Stage::Delivering { until: now + self.timing.silence }))
            }
            Stage::Delivering { .. } if self.held.is_empty() => Some(None),
            Stage::Delivering { until } if now >= until => Some(None),
            _ => None,
        }
    }

    fn give_back_all(&mut self, out: &mut Vec<Action>) {
        for job in self.held.list() {
            self.held.end(Ended::Returned { token: job.token, key: job.key, why: "draining" });
        }
        self.flush(out);
    }

    fn leave(&mut self, out: &mut Vec<Action>) {
        if self.is_welcome() {
            out.push(Action::Send(FromWorker::Goodbye));
        }
        self.phase = Phase::Gone;
        out.push(Action::Exit);
    }
}
