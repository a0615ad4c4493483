//! The configuration in force: the file's, with what the yard says.

use std::sync::Arc;

use tokio::sync::watch::{self, Receiver};
use tokio_util::sync::CancellationToken;

use super::Yard;
use crate::config::Config;

/// Follows the file's configuration and the yard until `stop` is cancelled.
pub fn combine(
    mut configs: Receiver<Arc<Config>>,
    mut yard: Receiver<Yard>,
    stop: CancellationToken,
) -> Receiver<Arc<Config>> {
    let join = |configs: &Receiver<Arc<Config>>, yard: &Receiver<Yard>| {
        Arc::new(yard.borrow().over(&configs.borrow()))
    };
    let (sender, combined) = watch::channel(join(&configs, &yard));
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        loop {
            let changed = tokio::select! {
                changed = configs.changed() => changed,
                changed = yard.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
            configs.mark_unchanged();
            yard.mark_unchanged();
            sender.send_replace(join(&configs, &yard));
        }
    }));
    combined
}
