//! How objects are followed.

use std::fmt::Debug;

use futures_util::{Stream, StreamExt, TryStreamExt, future};
use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::reflector::{Store, store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{Predicate, PredicateConfig, WatchStreamExt, predicates};
use serde::de::DeserializeOwned;

use crate::metrics::Metrics;
use crate::shared::Shared;

/// How a kind is watched.
#[must_use]
pub fn config(shared: &Shared) -> watcher::Config {
    watcher::Config::default().timeout(shared.watch_seconds)
}

/// A kind's objects as they change, and a store of all of them. A watch that fails is told of here and begins again after
/// a while of its own: a controller waits with all of its streams when one gives it an error.
pub fn watched<K>(
    shared: &Shared,
    config: watcher::Config,
) -> (Store<K>, impl Stream<Item = Result<K, watcher::Error>> + use<K>)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let (objects, writer) = store();
    let events = watcher::watcher(Api::namespaced(shared.client.clone(), &shared.namespace), config);
    let stream = events.inspect_err(told::<K>).default_backoff().reflect(writer).touched_objects();
    (objects, stream.filter(|object| future::ready(object.is_ok())))
}

/// The objects of a kind of ours when their spec or annotations change, and a store of all of them. What cannot be read
/// is left out, so that one malformed object stops no other.
pub fn own<K, P>(
    shared: &Shared,
    trigger: P,
) -> (Store<K>, impl Stream<Item = Result<K, watcher::Error>> + Send + use<K, P>)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
    P: Predicate<K> + Send + 'static,
{
    let api: Api<DeserializeGuard<K>> = Api::namespaced(shared.client.clone(), &shared.namespace);
    let (objects, writer) = store();
    let events = watcher::watcher(api, config(shared));
    let metrics = shared.metrics.clone();
    let stream = events
        .inspect_err(told::<K>)
        .filter_map(move |event| future::ready(event.map(|event| understood(event, &metrics)).transpose()))
        .default_backoff()
        .reflect(writer)
        .applied_objects()
        .predicate_filter(trigger, PredicateConfig::default())
        .filter(|object| future::ready(object.is_ok()));
    (objects, stream)
}

/// The store keeps what it has; the watch begins again after a while, also when the kind is not there yet.
fn told<K: Resource<DynamicType = ()>>(error: &watcher::Error) {
    tracing::warn!(%error, kind = %K::kind(&()), "cannot follow the cluster");
}

/// True for a change of spec or annotations.
pub fn asked<K: Resource>() -> impl Predicate<K> {
    predicates::generation.combine(predicates::annotations)
}

fn understood<K: Resource<DynamicType = ()>>(
    event: Event<DeserializeGuard<K>>,
    metrics: &Metrics,
) -> Option<Event<K>> {
    match event {
        Event::Init => Some(Event::Init),
        Event::InitDone => Some(Event::InitDone),
        Event::InitApply(guard) => readable(guard, metrics).map(Event::InitApply),
        Event::Apply(guard) => readable(guard, metrics).map(Event::Apply),
        Event::Delete(guard) => readable(guard, metrics).map(Event::Delete),
    }
}

fn readable<K: Resource<DynamicType = ()>>(guard: DeserializeGuard<K>, metrics: &Metrics) -> Option<K> {
    let told = |invalid: &InvalidObject| {
        let name = invalid.metadata.name.as_deref().unwrap_or_default();
        tracing::error!(kind = %K::kind(&()), name, error = invalid.error, "this object cannot be read and is left alone");
        metrics.unreadable(K::kind(&()));
    };
    guard.0.inspect_err(told).ok()
}
