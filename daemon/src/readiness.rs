//! Readiness by named gates. The process is ready while every gate is open. Otherwise readiness names the closed gates, and
//! why they are closed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The gates of a process.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, Option<String>>>>);

/// One condition of readiness. Clones share it.
#[derive(Debug, Clone)]
pub struct Gate {
    name: &'static str,
    all: Readiness,
}

/// A closed gate.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Missing {
    /// The gate's name.
    pub gate: &'static str,
    /// Why the gate is closed.
    pub why: String,
}

impl Readiness {
    /// Adds a gate, which is closed because of `why`.
    pub fn gate(&self, name: &'static str, why: impl Into<String>) -> Gate {
        let gate = Gate { name, all: self.clone() };
        gate.close(why);
        gate
    }

    /// Returns the closed gates, by name; none if the process is ready.
    #[must_use]
    pub fn missing(&self) -> Vec<Missing> {
        let closed = |(gate, why): (&&'static str, &Option<String>)| {
            why.as_ref().map(|why| Missing { gate, why: why.clone() })
        };
        self.lock().iter().filter_map(closed).collect()
    }

    /// Returns whether every gate is open.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.lock().values().all(Option::is_none)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Option<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    /// Opens the gate.
    pub fn open(&self) {
        self.all.lock().insert(self.name, None);
    }

    /// Closes the gate because of `why`.
    pub fn close(&self, why: impl Into<String>) {
        self.all.lock().insert(self.name, Some(why.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_gates_are_named() {
        let readiness = Readiness::default();
        let sockets = readiness.gate("sockets", "not bound yet");
        let config = readiness.gate("config", "not read yet");
        sockets.open();
        assert_eq!(readiness.missing(), [Missing { gate: "config", why: "not read yet".to_owned() }]);
        config.clone().open();
        assert!(readiness.is_ready() && readiness.missing().is_empty());
        sockets.close("draining");
        assert!(!readiness.is_ready());
    }
}
