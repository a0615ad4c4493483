//! The objects of one kind, by name.

use std::collections::BTreeMap;

use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};

/// The objects of one kind. A list that has begun does not count before it is whole.
#[derive(Debug)]
pub(super) struct Objects<K> {
    whole: BTreeMap<String, K>,
    listing: Option<BTreeMap<String, K>>,
}

impl<K> Default for Objects<K> {
    fn default() -> Self {
        Self { whole: BTreeMap::new(), listing: Some(BTreeMap::new()) }
    }
}

impl<K: Resource<DynamicType = ()>> Objects<K> {
    /// Takes an event; true if there is something new to see.
    pub(super) fn apply(&mut self, event: Event<DeserializeGuard<K>>) -> bool {
        match event {
            Event::Init => self.listing = Some(BTreeMap::new()),
            Event::InitApply(guard) => {
                if let (Some(object), Some(listing)) = (readable(guard), &mut self.listing) {
                    listing.insert(object.name_any(), object);
                }
            }
            Event::InitDone => self.whole = self.listing.take().unwrap_or_default(),
            Event::Apply(guard) => self.put(guard),
            Event::Delete(guard) => {
                self.whole.remove(&name(&guard));
            }
        }
        self.listing.is_none()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &K> {
        self.whole.values()
    }

    /// One that has become unreadable is as one that is gone.
    fn put(&mut self, guard: DeserializeGuard<K>) {
        let name = name(&guard);
        match readable(guard) {
            Some(object) => self.whole.insert(name, object),
            None => self.whole.remove(&name),
        };
    }
}

fn name<K: Resource<DynamicType = ()>>(guard: &DeserializeGuard<K>) -> String {
    let name = match &guard.0 {
        Ok(object) => &object.meta().name,
        Err(invalid) => &invalid.metadata.name,
    };
    name.clone().unwrap_or_default()
}

fn readable<K: Resource<DynamicType = ()>>(guard: DeserializeGuard<K>) -> Option<K> {
    let told = |invalid: &InvalidObject| {
        let name = invalid.metadata.name.as_deref().unwrap_or_default();
        tracing::error!(kind = %K::kind(&()), name, error = invalid.error, "this object cannot be read and is left out");
    };
    guard.0.inspect_err(told).ok()
}
