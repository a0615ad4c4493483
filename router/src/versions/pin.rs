//! Looks up the digests of versions that were deployed without one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;

use super::{Catalogue, VersionStore};
use crate::config::Config;

/// Interval between attempts for versions that could not be looked up.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// Pins versions until `stop` is cancelled: at the start, after every change of the configuration, and again after
/// `RETRY_INTERVAL` while some cannot be looked up.
pub async fn pin_versions(
    mut configs: Receiver<Arc<Config>>,
    catalogue: Arc<Catalogue>,
    store: Arc<dyn VersionStore>,
    stop: CancellationToken,
) {
    let work = async {
        loop {
            let config = configs.borrow_and_update().clone();
            let missing = pin(&config, &catalogue, &*store).await;
            let wait = if missing == 0 { Duration::MAX } else { RETRY_INTERVAL };
            // After a change and after a timeout alike, all versions are checked again.
            if let Ok(Err(_)) = tokio::time::timeout(wait, configs.changed()).await {
                return;
            }
        }
    };
    stop.run_until_cancelled(work).await;
}

/// Pins the versions that can be looked up. Returns how many cannot.
async fn pin(config: &Config, catalogue: &Catalogue, store: &dyn VersionStore) -> usize {
    let mut pins = Vec::new();
    let mut missing = 0;
    for (tooling, version) in config.container_versions.unresolved() {
        let channel = tooling.channel;
        let track = tooling.track.clone();
        match catalogue.resolve(&config.images, &tooling, &version).await {
            Ok(pinned) => {
                tracing::info!(%channel, %track, version = %pinned, "looked up a deployed version");
                pins.push((tooling, pinned));
            }
            Err(error) => {
                tracing::error!(%channel, %track, %version, %error, "cannot look up a deployed version");
                missing += 1;
                // The error is logged already, and the next attempt reports it again.
                let _ = store
                    .report_unresolved(tooling, version, format!("the image cannot be looked up: {error}"))
                    .await;
            }
        }
    }
    if !pins.is_empty() && store.pin(pins).await.is_err() {
        missing += 1;
    }
    missing
}
