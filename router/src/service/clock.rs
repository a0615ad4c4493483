//! The service's clock. It is read once for many messages, because a reading for each would be a noticeable part of the
//! work.

use std::time::{Duration, Instant};

use trackyard_daemon::clock::Moment;

use crate::dispatch::Time;

/// Number of messages for which one reading is used: some tenths of a millisecond.
const MESSAGES_PER_READING: u32 = 32;
/// Delay that may be due to work. After a longer one, the process or its machine was stopped.
const MAX_LATENESS: Duration = Duration::from_secs(1);

/// The service's clock.
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

    /// Reads the clock.
    pub(super) fn read(&mut self) {
        self.now = Moment::now();
        self.time = self.now.monotonic.saturating_duration_since(self.started);
        self.messages = 0;
    }

    /// Counts a message, and reads the clock once in `MESSAGES_PER_READING` messages.
    pub(super) fn count_message(&mut self) {
        self.messages += 1;
        if self.messages > MESSAGES_PER_READING {
            self.read();
        }
    }

    /// Returns the last reading.
    pub(super) const fn now(&self) -> Moment {
        self.now
    }

    /// Returns the last reading as the time since the start.
    pub(super) const fn time(&self) -> Time {
        self.time
    }
}

/// Returns how much later than `due` it is, if that is too late to be due to work.
pub(super) fn lateness(now: Time, due: Time) -> Option<Duration> {
    now.checked_sub(due).filter(|late| *late > MAX_LATENESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_counts_above_one_second() {
        let at = Duration::from_millis;
        assert_eq!(lateness(at(1500), at(2000)), None);
        assert_eq!(lateness(at(3000), at(2000)), None);
        assert_eq!(lateness(at(9000), at(2000)), Some(at(7000)));
    }
}
