//! Named gates. The process is ready once every gate is open; until then readiness names what is missing, and why.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All gates of a process.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, Option<String>>>>);

/// One condition of readiness. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate {
    name: &'static str,
    all: Readiness,
}

/// A gate that is not open.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Missing {
    /// The gate's name.
    pub gate: &'static str,
    /// Why it is not open.
    pub why: String,
}

impl Readiness {
    /// Adds a gate, closed for the reason `why`.
    pub fn gate(&self, name: &'static str, why: impl Into<String>) -> Gate {
        let gate = Gate { name, all: self.clone() };
        gate.close(why);
        gate
    }

    /// The gates that are not open, by name; none if the process is ready.
    #[must_use]
    pub fn missing(&self) -> Vec<Missing> {
        let closed = |(gate, why): (&&'static str, &Option<String>)| {
            why.as_ref().map(|why| Missing { gate, why: why.clone() })
        };
        self.lock().iter().filter_map(closed).collect()
    }

    /// True if every gate is open.
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

    /// Closes the gate for the reason `why`.
    pub fn close(&self, why: impl Into<String>) {
        self.all.lock().insert(self.name, Some(why.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
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
