//! The running configuration: what the file held when it was last good, changed by edits and by clients.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::file::Stamp;
use super::{Config, ConfigError, ConfigFile};

/// The running configuration and its file. Its methods read and write the file: call them where blocking is no harm.
#[derive(Debug)]
pub struct LiveConfig {
    file: ConfigFile,
    state: Mutex<State>,
    current: watch::Sender<Arc<Config>>,
}

#[derive(Debug, Default)]
struct State {
    /// The file as it was last read or written.
    read: Option<Stamp>,
    /// A change that was seen once; it is read when it is seen again, for an editor may still be writing.
    settling: Option<Stamp>,
    /// Why the file's present content is refused.
    trouble: Option<String>,
}

/// What a look at the file found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Look {
    /// Nothing new, or a change that may still be going on.
    Same,
    /// A good change; it is in force.
    Applied,
    /// A broken change; the configuration before it stays in force.
    Refused,
}

impl LiveConfig {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// If it cannot be read, or is no configuration.
    pub fn start(file: ConfigFile) -> Result<Self, ConfigError> {
        let state = State { read: file.stamp(), ..State::default() };
        let read = file.load()?;
        tell(&read.notes);
        Ok(Self { file, state: Mutex::new(state), current: watch::Sender::new(Arc::new(read.config)) })
    }

    /// The configuration in force.
    #[must_use]
    pub fn current(&self) -> Arc<Config> {
        self.current.borrow().clone()
    }

    /// Tells of every change from now on.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Config>> {
        self.current.subscribe()
    }

    /// Why the file as it stands is not in force, if it is not.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    /// Changes the configuration: reads the file again, so that an edit by hand is not lost, lets `edit` change it,
    /// and replaces it.
    ///
    /// # Errors
    /// The errors of `edit`, or that the file is broken or cannot be written; then nothing has changed.
    pub fn change<T, E: From<ConfigError>>(
        &self,
        edit: impl FnOnce(&mut Config) -> Result<T, E>,
    ) -> Result<(T, Arc<Config>), E> {
        let mut state = self.lock();
        let read = self.file.load()?;
        let mut config = read.config.clone();
        let outcome = edit(&mut config)?;
        if config != read.config {
            self.file.save(&config)?;
        }
        *state = State { read: self.file.stamp(), ..State::default() };
        let config = Arc::new(config);
        self.publish(&config);
        Ok((outcome, config))
    }

    /// Looks whether the file was edited, and takes the edit up if it is good.
    pub fn look(&self) -> Look {
        let mut state = self.lock();
        let stamp = self.file.stamp();
        if stamp == state.read {
            return Look::Same;
        }
        if stamp.is_some() && stamp != state.settling {
            state.settling = stamp;
            return Look::Same;
        }
        *state = State { read: stamp, ..State::default() };
        match self.file.load() {
            Ok(read) => {
                tell(&read.notes);
                tracing::info!("the configuration was edited and is in force");
                self.publish(&Arc::new(read.config));
                Look::Applied
            }
            Err(error) => {
                tracing::error!(%error, "the edited configuration is refused; the one before stays in force");
                state.trouble = Some(error.to_string());
                Look::Refused
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

fn tell(notes: &[String]) {
    for note in notes {
        tracing::warn!(note, "about the configuration");
    }
}
