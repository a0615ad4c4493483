//! Looks at the file twice a second. Looking, not inotify: a mounted directory of a cluster changes by a symbolic link
//! that is swapped, which a watch on the file would not see.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::LiveConfig;
use super::live::Look;

const EVERY: Duration = Duration::from_millis(500);

/// Takes up edits of the file until `stop` is cancelled; `found` hears of each.
pub async fn watch(live: Arc<LiveConfig>, stop: CancellationToken, found: impl Fn(Look)) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let live = Arc::clone(&live);
        match tokio::task::spawn_blocking(move || live.look()).await {
            Ok(Look::Same) | Err(_) => {}
            Ok(look) => found(look),
        }
    }
}
