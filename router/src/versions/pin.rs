//! Looks up the digests of versions that were written into the configuration without one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;

use super::{Catalogue, VersionStore};
use crate::config::Config;

/// Between two tries for versions that cannot be looked up.
const AGAIN: Duration = Duration::from_secs(10);

/// Pins versions until `stop` is cancelled: at once, after every change of the configuration, and again while some
/// cannot be looked up.
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
            let wait = if missing == 0 { Duration::MAX } else { AGAIN };
            // A change, or the time: either way everything is looked at again.
            if let Ok(Err(_)) = tokio::time::timeout(wait, configs.changed()).await {
                return;
            }
        }
    };
    stop.run_until_cancelled(work).await;
}

/// Pins what can be pinned; how many cannot.
async fn pin(config: &Config, catalogue: &Catalogue, store: &dyn VersionStore) -> usize {
    let mut pins = Vec::new();
    let mut missing = 0;
    for (place, version) in config.container_versions.unresolved() {
        let (channel, track) = (place.channel, place.track.clone());
        match catalogue.resolve(&config.images, &place, &version).await {
            Ok(pinned) => {
                tracing::info!(%channel, %track, version = %pinned, "looked up a deployed version");
                pins.push((place, pinned));
            }
            Err(error) => {
                tracing::error!(%channel, %track, %version, %error, "cannot look up a deployed version");
                missing += 1;
                // The log has all of it; it is tried again either way.
                let _ =
                    store.unresolved(place, version, format!("the image cannot be looked up: {error}")).await;
            }
        }
    }
    if !pins.is_empty() && store.pin(pins).await.is_err() {
        missing += 1;
    }
    missing
}
