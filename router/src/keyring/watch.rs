//! Reads the list of allowed keys, and again when its file changes.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use trackyard_protocol::allowed::Allowed;

use super::{Keyring, KeyringError, MAX_LIST_BYTES};
use crate::config::ReloadOutcome;

/// Interval between reads of the file. A mounted Secret changes by swapping a symbolic link, which inotify would not see.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

pub(super) fn read(list: &Path) -> Result<String, KeyringError> {
    let mut text = String::new();
    let read = File::open(list).and_then(|file| file.take(MAX_LIST_BYTES).read_to_string(&mut text));
    read.map(|_| text).map_err(|source| KeyringError::Unreadable { list: list.to_owned(), source })
}

pub(super) fn parse(text: &str, list: &Path) -> Result<Allowed, KeyringError> {
    text.parse().map_err(|mistake| KeyringError::Refused { list: list.to_owned(), mistake })
}

impl Keyring {
    /// Applies edits of the list until `stop` is cancelled, and calls `on_edit` for each. A list that is invalid or missing
    /// changes nothing.
    pub async fn watch(self, stop: CancellationToken, on_edit: impl Fn(ReloadOutcome)) {
        let mut ticks = tokio::time::interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut current = Ok(self.opened.to_string());
        let mut settling = None;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let text = self.read_list().await;
            // A change is applied when it is seen twice, because an editor may still be writing.
            if text == current || settling.replace(text.clone()) != Some(text.clone()) {
                continue;
            }
            on_edit(self.apply(&text));
            current = text;
            settling = None;
        }
    }

    async fn read_list(&self) -> Result<String, String> {
        let list = self.list.clone();
        let read = tokio::task::spawn_blocking(move || read(&list).map_err(|error| error.to_string()));
        read.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    fn apply(&self, text: &Result<String, String>) -> ReloadOutcome {
        let parse = |text: &String| parse(text, &self.list).map_err(|error| error.to_string());
        match text.as_ref().map_err(String::clone).and_then(parse) {
            Ok(allowed) => {
                tracing::info!(keys = allowed.len(), "the list of allowed keys changed and is in force");
                self.allowed.send_replace(Arc::new(allowed));
                ReloadOutcome::Applied
            }
            Err(error) => {
                tracing::error!(error, "the list of allowed keys is refused; the one before stays in force");
                ReloadOutcome::Refused
            }
        }
    }
}
