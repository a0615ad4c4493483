//! A peer that tries again and again is logged once in a while.

use std::time::{Duration, Instant};

/// From one line to the next.
const PAUSE: Duration = Duration::from_secs(10);

/// When somebody was last told.
#[derive(Debug, Default)]
pub(super) struct Quiet(Option<Instant>);

impl Quiet {
    /// True if it is time to tell again; it is then taken as told.
    pub(super) fn may_tell(&mut self) -> bool {
        let may = self.0.is_none_or(|told| told.elapsed() > PAUSE);
        if may {
            self.0 = Some(Instant::now());
        }
        may
    }
}
