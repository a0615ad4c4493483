//! Leases: what they name must not be removed, because a job runs on it or a preparation relies on it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Counts = BTreeMap<String, usize>;

/// The number of leases of each layer and image, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leases {
    counts: Arc<Mutex<Counts>>,
}

/// Keeps what it names until its last clone is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    _held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    names: Vec<String>,
    leases: Leases,
}

/// Blocks taking and releasing leases while it lives, so that the caller can decide what to remove.
pub(crate) struct FrozenLeases<'a> {
    counts: MutexGuard<'a, Counts>,
}

impl Leases {
    pub(crate) fn take(&self, names: impl IntoIterator<Item = String>) -> Lease {
        let names: Vec<String> = names.into_iter().collect();
        let mut counts = self.lock();
        for name in &names {
            *counts.entry(name.clone()).or_default() += 1;
        }
        Lease { _held: Arc::new(Held { names, leases: self.clone() }) }
    }

    pub(crate) fn freeze(&self) -> FrozenLeases<'_> {
        FrozenLeases { counts: self.lock() }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // The counts are consistent after every statement, so a panic elsewhere has not broken them.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FrozenLeases<'_> {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.counts.contains_key(name)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut counts = self.leases.lock();
        for name in &self.names {
            if let Some(count) = counts.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_until_the_last_lease() {
        let leases = Leases::default();
        let first = leases.take(["a".to_owned(), "b".to_owned()]);
        let second = leases.take(["a".to_owned()]);
        let clone = second.clone();
        drop((first, second));
        let frozen = leases.freeze();
        assert!(frozen.has("a") && !frozen.has("b"));
        drop(frozen);
        drop(clone);
        assert!(!leases.freeze().has("a"));
    }
}
