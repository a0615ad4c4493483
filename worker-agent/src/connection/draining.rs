//! Drains: a worker takes no more jobs, and finishes or returns those that are running. Then it exits or bootstraps
//! again.

use std::time::Instant;

use trackyard_protocol::worker::FromWorker;

use super::event::{Action, DrainMode, JobEnd};
use super::{Connection, Phase};

/// A drain under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draining {
    mode: DrainMode,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Jobs run to their end, or until `until`.
    Finishing { until: Option<Instant> },
    /// Jobs were stopped. Those that have not ended at `until` are returned all the same.
    Stopping { until: Instant },
    /// All jobs have ended. The router has until `until` to acknowledge the last results.
    Delivering { until: Instant },
    /// The worker waits for the answer to its bootstrap request.
    Bootstrapping,
    /// The worker can exit.
    Done,
}

impl Draining {
    pub(super) const fn is_bootstrapping(&self) -> bool {
        matches!(self.stage, Stage::Bootstrapping)
    }

    pub(super) const fn next_deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Finishing { until } => until,
            Stage::Stopping { until } | Stage::Delivering { until } => Some(until),
            Stage::Bootstrapping | Stage::Done => None,
        }
    }
}

impl Connection {
    /// Starts a drain. A running drain is replaced only if `mode` is more urgent.
    pub(super) fn start_draining(&mut self, mode: DrainMode, now: Instant, out: &mut Vec<Action>) {
        if self.draining.as_ref().is_some_and(|draining| draining.mode >= mode) {
            return;
        }
        if self.draining.is_none() && self.is_welcomed() {
            out.push(Action::Send(FromWorker::Draining));
        }
        let until = match mode {
            DrainMode::Bootstrap | DrainMode::WhenIdle => None,
            DrainMode::Graceful => Some(now + self.timing.drain),
            DrainMode::Immediate => Some(now),
        };
        self.draining = Some(Draining { mode, stage: Stage::Finishing { until } });
    }

    /// Moves a drain through all stages that are over.
    pub(super) fn advance_drain(&mut self, now: Instant, out: &mut Vec<Action>) {
        while let Some(Draining { mode, stage }) = self.draining {
            if stage == Stage::Done {
                return self.say_goodbye(out);
            }
            let Some(stage) = self.next_stage(mode, stage, now, out) else { return };
            self.draining = Some(Draining { mode, stage });
        }
    }

    /// Returns the stage that follows `stage`, or `None` if `stage` is not over.
    fn next_stage(
        &mut self,
        mode: DrainMode,
        stage: Stage,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Option<Stage> {
        let idle = self.held_jobs.running() == 0;
        match stage {
            Stage::Bootstrapping | Stage::Done => None,
            Stage::Finishing { .. } | Stage::Stopping { .. } if idle && mode == DrainMode::Bootstrap => {
                out.push(Action::Bootstrap);
                Some(Stage::Bootstrapping)
            }
            Stage::Finishing { until } if idle => {
                // Not after the drain timeout: what sent SIGTERM sends SIGKILL soon after it.
                let earliest = now + self.timing.silence;
                let until = until.map_or(now + self.timing.drain, |until| until.max(earliest));
                Some(Stage::Delivering { until })
            }
            Stage::Finishing { until: Some(until) } if now >= until => {
                for token in self.held_jobs.running_tokens() {
                    self.stop_job(token, "draining", out);
                }
                Some(Stage::Stopping { until: now + self.timing.kill })
            }
            Stage::Stopping { until } if idle || now >= until => {
                self.return_all(out);
                Some(Stage::Delivering { until: now + self.timing.silence })
            }
            Stage::Delivering { .. } if self.held_jobs.is_empty() => Some(Stage::Done),
            Stage::Delivering { until } if now >= until => Some(Stage::Done),
            _ => None,
        }
    }

    fn return_all(&mut self, out: &mut Vec<Action>) {
        for job in self.held_jobs.list() {
            self.held_jobs.on_ended(JobEnd::Returned { token: job.token, key: job.key, why: "draining" });
        }
        self.flush(out);
    }

    fn say_goodbye(&mut self, out: &mut Vec<Action>) {
        if self.is_welcomed() {
            out.push(Action::Send(FromWorker::Goodbye));
        }
        self.phase = Phase::GoodbyeSent;
        out.push(Action::Exit);
    }
}
