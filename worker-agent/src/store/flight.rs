//! Makes sure that a layer is fetched only once at one time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

type InFlight = HashMap<String, watch::Receiver<()>>;

/// The layers that are being fetched, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flights {
    in_flight: Arc<Mutex<InFlight>>,
}

/// The right to fetch one layer. It is released when dropped, however the fetching ended.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) name: String,
    flights: Flights,
    /// Waiters are woken when this sender is dropped.
    _ended: watch::Sender<()>,
}

/// A flight of another task.
pub(crate) struct OtherFlight(watch::Receiver<()>);

impl Flights {
    /// Claims `name`, or returns the flight of the task that has claimed it.
    pub(crate) fn claim(&self, name: &str) -> Result<Flight, OtherFlight> {
        let mut in_flight = self.lock();
        if let Some(other) = in_flight.get(name) {
            return Err(OtherFlight(other.clone()));
        }
        let (ended, waiter) = watch::channel(());
        in_flight.insert(name.to_owned(), waiter);
        Ok(Flight { name: name.to_owned(), flights: self.clone(), _ended: ended })
    }

    fn lock(&self) -> MutexGuard<'_, InFlight> {
        // The map is consistent after every statement, so a panic elsewhere has not broken it.
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OtherFlight {
    /// Waits until the flight has ended.
    pub(crate) async fn ended(mut self) {
        // Nothing is ever sent, so this returns when the sender is dropped.
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
    async fn one_claim_at_a_time() {
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
