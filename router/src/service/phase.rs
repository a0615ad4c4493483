//! The service's shutdown: it answers everything that it has accepted, within a deadline.

use std::time::Duration;

use trackyard_protocol::reason::Reason;

use super::Service;
use crate::actions::Reply;
use crate::dispatch::{Event, Time};
use crate::socket::Ports;

/// Time that the last answers have to be sent.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// What follows the service's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The process ends.
    Stop,
    /// The process creates sockets, dispatcher and epoch again. That needs no supervisor, and workers and clients just
    /// reconnect.
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

    /// Accepts nothing new and finishes what was accepted. `Stop` overrides `Restart`.
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

    /// Ends after this iteration, without waiting for running jobs.
    pub(super) fn exit_now(&mut self) {
        self.phase = Phase::Draining { until: Time::ZERO, then: Exit::Stop };
    }

    /// Returns what follows, once the service is drained or out of time.
    pub(super) fn exit(&self) -> Option<Exit> {
        let Phase::Draining { until, then } = self.phase else { return None };
        let idle = self.pending.is_empty() && self.dispatch.is_idle();
        (idle || self.clock.time() >= until).then_some(then)
    }

    /// Refuses the requests that are still pending. Their jobs may go on: the same id, sent again, finds its result.
    pub(super) fn close(&mut self, mut ports: Ports) {
        let text = "the router ends before the job; send it again with the same id";
        for request in self.pending.remove_all() {
            self.reply(&Reply::error(Reason::RouterDraining, text), request);
        }
        self.flush(&mut ports);
        ports.finish(LINGER_TIMEOUT);
    }
}
