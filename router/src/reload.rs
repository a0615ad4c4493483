//! Reloading of files that were edited. They are polled, because a mounted ConfigMap or Secret changes by swapping a symbolic
//! link, which inotify on the file would not see.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The outcome of a check for changes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ReloadOutcome {
    /// Nothing has changed, or an editor may still be writing.
    Unchanged,
    /// The change is valid, and in force.
    Applied,
    /// The change is invalid; the content before it stays in force.
    Refused,
}

/// Detects changes of a file. A change counts when it is seen twice, because an editor may still be writing.
#[derive(Debug)]
pub struct ChangeDetector<T> {
    applied: T,
    seen: Option<T>,
}

impl<T: PartialEq + Clone> ChangeDetector<T> {
    /// Returns a detector of changes from `applied`.
    pub const fn new(applied: T) -> Self {
        Self { applied, seen: None }
    }

    /// Returns whether `now` has to be applied.
    pub fn has_changed(&mut self, now: &T) -> bool {
        if *now == self.applied || self.seen.as_ref() != Some(now) {
            self.seen = Some(now.clone());
            return false;
        }
        self.applied = now.clone();
        true
    }
}

/// Calls `reload_if_changed` twice a second, on a thread that may block, until `stop` is cancelled. Calls `on_edit` for each
/// edit.
pub async fn watch(
    stop: CancellationToken,
    reload_if_changed: impl Fn() -> ReloadOutcome + Clone + Send + 'static,
    on_edit: impl Fn(ReloadOutcome),
) {
    let mut ticks = tokio::time::interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        match tokio::task::spawn_blocking(reload_if_changed.clone()).await {
            Ok(ReloadOutcome::Unchanged) | Err(_) => {}
            Ok(outcome) => on_edit(outcome),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_counts_when_seen_twice() {
        let mut detector = ChangeDetector::new(1);
        let changes = [1, 2, 3, 3, 3, 1, 3, 1, 1].map(|now| detector.has_changed(&now));
        assert_eq!(changes, [false, false, false, true, false, false, false, false, true]);
    }
}
