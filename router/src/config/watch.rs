//! Polls the configuration file. A mounted ConfigMap changes by swapping a symbolic link, which inotify on the file would
//! not see.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{LiveConfig, ReloadOutcome};

const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Applies edits of the file until `stop` is cancelled, and calls `on_edit` for each.
pub async fn watch(live: Arc<LiveConfig>, stop: CancellationToken, on_edit: impl Fn(ReloadOutcome)) {
    let mut ticks = tokio::time::interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let live = Arc::clone(&live);
        match tokio::task::spawn_blocking(move || live.reload_if_changed()).await {
            Ok(ReloadOutcome::Unchanged) | Err(_) => {}
            Ok(outcome) => on_edit(outcome),
        }
    }
}
