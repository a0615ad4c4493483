//! Nobody fetches what another is fetching.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

type Waiting = HashMap<String, watch::Receiver<()>>;

/// What is being fetched now, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flights {
    waiting: Arc<Mutex<Waiting>>,
}

/// The right to fetch one thing, given back when dropped, whichever way the fetching ended.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) name: String,
    flights: Flights,
    /// Waiters see it go.
    _ends: watch::Sender<()>,
}

/// Somebody else's flight.
pub(crate) struct Other(watch::Receiver<()>);

impl Flights {
    /// Takes `name`, unless somebody has it.
    pub(crate) fn claim(&self, name: &str) -> Result<Flight, Other> {
        let mut waiting = self.lock();
        if let Some(other) = waiting.get(name) {
            return Err(Other(other.clone()));
        }
        let (ends, waits) = watch::channel(());
        waiting.insert(name.to_owned(), waits);
        Ok(Flight { name: name.to_owned(), flights: self.clone(), _ends: ends })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // The map is right after every statement, so a panic elsewhere has not broken it.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Other {
    /// Waits until that flight has ended.
    pub(crate) async fn ended(mut self) {
        // Nothing is ever sent, so this ends when the sender goes.
        while self.0.changed().await.is_ok() {}
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_fetched_by_one_and_free_afterwards() {
        let flights = Flights::default();
        let Ok(first) = flights.claim("a") else { panic!("a is taken") };
        assert!(flights.claim("b").is_ok());
        let Err(other) = flights.claim("a") else { panic!("a was given twice") };
        let waiter = tokio::spawn(other.ended());
        drop(first);
        waiter.await.unwrap();
        assert!(flights.claim("a").is_ok());
    }
}
