//! Reads the list of allowed keys, and again when it changes.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use trackyard_protocol::allowed::Allowed;

use super::{Error, Keyring, MAX_LIST_BYTES};
use crate::config::Look;

/// Looking, not inotify: a mounted Secret changes by a symbolic link that is swapped.
const EVERY: Duration = Duration::from_millis(500);

pub(super) fn read(list: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let read = File::open(list).and_then(|file| file.take(MAX_LIST_BYTES).read_to_string(&mut text));
    read.map(|_| text).map_err(|source| Error::Unreadable { list: list.to_owned(), source })
}

pub(super) fn parse(text: &str, list: &Path) -> Result<Allowed, Error> {
    text.parse().map_err(|mistake| Error::Refused { list: list.to_owned(), mistake })
}

impl Keyring {
    /// Takes up changes of the list until `stop` is cancelled; `found` hears of each. A list that is broken or gone
    /// changes nothing.
    pub async fn follow(self, stop: CancellationToken, found: impl Fn(Look)) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = Ok(self.opened.to_string());
        let mut settling = None;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let text = self.look().await;
            // A change is taken when it is seen twice, for an editor may still be writing.
            if text == seen || settling.replace(text.clone()) != Some(text.clone()) {
                continue;
            }
            found(self.take(&text));
            (seen, settling) = (text, None);
        }
    }

    async fn look(&self) -> Result<String, String> {
        let list = self.list.clone();
        let read = tokio::task::spawn_blocking(move || read(&list).map_err(|error| error.to_string()));
        read.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    fn take(&self, text: &Result<String, String>) -> Look {
        let parse = |text: &String| parse(text, &self.list).map_err(|error| error.to_string());
        match text.as_ref().map_err(String::clone).and_then(parse) {
            Ok(allowed) => {
                tracing::info!(keys = allowed.len(), "the list of allowed keys changed and is in force");
                self.allowed.send_replace(Arc::new(allowed));
                Look::Applied
            }
            Err(error) => {
                tracing::error!(error, "the list of allowed keys is refused; the one before stays in force");
                Look::Refused
            }
        }
    }
}
