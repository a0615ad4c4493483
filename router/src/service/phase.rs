//! How the service ends: it answers everything that it accepted, within bounds.

use std::time::Duration;

use trackyard_protocol::reason::Reason;

use super::Service;
use crate::actions::Reply;
use crate::dispatch::{Event, Time};
use crate::socket::Ports;

/// How long the last answers have to leave.
const LINGER: Duration = Duration::from_secs(2);

/// What follows the service's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The process ends.
    Stop,
    /// Everything is made anew in the same process: sockets, dispatcher and epoch. No supervisor is needed for it,
    /// and workers and clients just connect again.
    Restart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    Draining { until: Time, then: Exit },
}

impl Service {
    pub(super) fn is_draining(&self) -> bool {
        self.phase != Phase::Serving
    }

    /// Takes nothing new and finishes what was accepted. To stop wins over to restart.
    pub(super) fn drain(&mut self, then: Exit) {
        match &mut self.phase {
            Phase::Draining { then: planned, .. } if then == Exit::Stop => *planned = Exit::Stop,
            Phase::Draining { .. } => {}
            Phase::Serving => {
                tracing::info!(then = ?then, "draining");
                self.parts.recovery.close("draining");
                self.phase = Phase::Draining { until: self.clock.time() + self.parts.drain_timeout, then };
                self.feed(Event::Drain);
            }
        }
    }

    /// Ends at the next turn, whatever is in hand.
    pub(super) fn leave(&mut self) {
        self.phase = Phase::Draining { until: Time::ZERO, then: Exit::Stop };
    }

    pub(super) fn finished(&self) -> Option<Exit> {
        let Phase::Draining { until, then } = self.phase else { return None };
        let idle = self.waiters.is_empty() && self.dispatch.is_idle();
        (idle || self.clock.time() >= until).then_some(then)
    }

    /// Answers whoever still waits. Their jobs may go on: the same id, sent again, finds its result.
    pub(super) fn close(&mut self, mut ports: Ports) {
        let text = "the router ends before the job; send it again with the same id";
        for way in self.waiters.take_all() {
            self.reply(&Reply::error(Reason::RouterDraining, text), way);
        }
        self.flush(&mut ports);
        ports.finish(LINGER);
    }
}
