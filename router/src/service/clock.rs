//! The service's time: read once for many messages, because reading it for each word of a worker would be a noticeable
//! part of the work.

use std::time::Instant;

use trackyard_daemon::clock::Moment;

use crate::dispatch::Time;

/// Messages for which one reading is enough: some tenths of a millisecond.
const MESSAGES: u32 = 32;

/// The clock.
#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
    now: Moment,
    time: Time,
    messages: u32,
}

impl Clock {
    pub(super) fn start() -> Self {
        let now = Moment::now();
        Self { started: now.monotonic, now, time: Time::ZERO, messages: 0 }
    }

    /// Reads it.
    pub(super) fn read(&mut self) {
        self.now = Moment::now();
        self.time = self.now.monotonic.saturating_duration_since(self.started);
        self.messages = 0;
    }

    /// Reads it once in a while.
    pub(super) fn count_message(&mut self) {
        self.messages += 1;
        if self.messages > MESSAGES {
            self.read();
        }
    }

    /// The last reading.
    pub(super) const fn now(&self) -> Moment {
        self.now
    }

    /// The last reading, since the start.
    pub(super) const fn time(&self) -> Time {
        self.time
    }
}
