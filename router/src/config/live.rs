//! The running configuration: the last valid content of the file, changed by edits and by clients.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::file::Stamp;
use super::{Config, ConfigError, ConfigFile};
use crate::reload::{ChangeDetector, ReloadOutcome};

/// The running configuration and its file. Its methods block on the file.
#[derive(Debug)]
pub struct LiveConfig {
    file: ConfigFile,
    state: Mutex<State>,
    current: watch::Sender<Arc<Config>>,
}

#[derive(Debug)]
struct State {
    /// Compares the file's stamp with that of the last read or write.
    changes: ChangeDetector<Option<Stamp>>,
    /// Why the file's current content is refused.
    refusal: Option<String>,
}

impl LiveConfig {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// If the file cannot be read or is not a valid configuration.
    pub fn start(file: ConfigFile) -> Result<Self, ConfigError> {
        let state = State { changes: ChangeDetector::new(file.stamp()), refusal: None };
        let read = file.load()?;
        log_notes(&read.notes);
        Ok(Self { file, state: Mutex::new(state), current: watch::Sender::new(Arc::new(read.config)) })
    }

    /// Returns the configuration in force.
    #[must_use]
    pub fn current(&self) -> Arc<Config> {
        self.current.borrow().clone()
    }

    /// Returns a receiver of every change from now on.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Config>> {
        self.current.subscribe()
    }

    /// Returns why the current content of the file is not in force, if it is not.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        self.lock().refusal.clone()
    }

    /// Changes the configuration: reads the file again, so that no edit is lost, lets `edit` change it, and replaces the
    /// file.
    ///
    /// # Errors
    /// The errors of `edit`, or if the file is invalid or cannot be written. Then nothing has changed.
    pub fn change<T, E: From<ConfigError>>(
        &self,
        edit: impl FnOnce(&mut Config) -> Result<T, E>,
    ) -> Result<(T, Arc<Config>), E> {
        let mut state = self.lock();
        let read = self.file.load()?;
        let mut config = read.config.clone();
        let result = edit(&mut config)?;
        if config != read.config {
            self.file.save(&config)?;
        }
        *state = State { changes: ChangeDetector::new(self.file.stamp()), refusal: None };
        let config = Arc::new(config);
        self.publish(&config);
        Ok((result, config))
    }

    /// Reads the file if it was edited, and puts the edit in force if it is valid.
    pub fn reload_if_changed(&self) -> ReloadOutcome {
        let mut state = self.lock();
        if !state.changes.has_changed(&self.file.stamp()) {
            return ReloadOutcome::Unchanged;
        }
        state.refusal = None;
        match self.file.load() {
            Ok(read) => {
                log_notes(&read.notes);
                tracing::info!("the configuration was edited and is in force");
                self.publish(&Arc::new(read.config));
                ReloadOutcome::Applied
            }
            Err(error) => {
                tracing::error!(%error, "the edited configuration is refused; the one before stays in force");
                state.refusal = Some(error.to_string());
                ReloadOutcome::Refused
            }
        }
    }

    fn publish(&self, config: &Arc<Config>) {
        self.current.send_if_modified(|current| {
            let differs = **current != **config;
            *current = Arc::clone(config);
            differs
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log_notes(notes: &[String]) {
    for note in notes {
        tracing::warn!(note, "about the configuration");
    }
}
