//! Limits how often repeated events, such as refusals of one peer, are logged.

use std::time::{Duration, Instant};

/// Interval between two log lines.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The time of the last log line.
#[derive(Debug, Default)]
pub(super) struct LogThrottle(Option<Instant>);

impl LogThrottle {
    /// Returns whether to log now. The next line may then follow after [`LOG_INTERVAL`].
    pub(super) fn should_log(&mut self) -> bool {
        let is_due = self.0.is_none_or(|last| last.elapsed() > LOG_INTERVAL);
        if is_due {
            self.0 = Some(Instant::now());
        }
        is_due
    }
}
