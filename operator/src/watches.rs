//! Watches of the cluster's objects.

use std::fmt::Debug;

use futures_util::{Stream, StreamExt, TryStreamExt, future};
use k8s_openapi::NamespaceResourceScope;
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{Store, store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{Predicate, PredicateConfig, WatchStreamExt, predicates};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use trackyard_crds::client::log_undecodable;

use crate::metrics::Metrics;

/// Starts watches of one namespace.
pub struct Watches {
    /// The client, whose watches are observed.
    pub client: Client,
    /// The namespace of pools and versions.
    pub namespace: String,
    /// Seconds after which a watch is started again; less than the idle timeout of common load balancers.
    pub timeout_seconds: u32,
    /// Counts the objects that cannot be decoded.
    pub metrics: Metrics,
}

impl Watches {
    /// Returns the configuration of a watch of all objects of a kind.
    #[must_use]
    pub fn config(&self) -> watcher::Config {
        watcher::Config::default().timeout(self.timeout_seconds)
    }

    /// Watches a Kubernetes kind. Returns a store of its objects and a stream of those that change.
    ///
    /// A failed watch is logged here and retried with a back-off; the stream has no errors, because a controller pauses all its
    /// streams when one of them yields an error.
    pub fn children<K>(
        &self,
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
        let events = watcher::watcher(Api::namespaced(self.client.clone(), &self.namespace), config);
        let stream = events.inspect_err(log_failure::<K>).default_backoff().reflect(writer).touched_objects();
        (objects, stream.filter(|object| future::ready(object.is_ok())))
    }

    /// Watches a kind of Trackyard. Returns a store of its objects and a stream of those for which `trigger` changes.
    ///
    /// Objects that cannot be decoded are left out, so that a malformed object does not block the others.
    pub fn own<K, P>(
        &self,
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
        let api: Api<DeserializeGuard<K>> = Api::namespaced(self.client.clone(), &self.namespace);
        let (objects, writer) = store();
        let metrics = self.metrics.clone();
        let stream = watcher::watcher(api, self.config())
            .inspect_err(log_failure::<K>)
            .filter_map(move |event| {
                future::ready(event.map(|event| decode_event(event, &metrics)).transpose())
            })
            .default_backoff()
            .reflect(writer)
            .applied_objects()
            .predicate_filter(trigger, PredicateConfig::default())
            .filter(|object| future::ready(object.is_ok()));
        (objects, stream)
    }
}

/// Logs a failed watch. The store keeps its objects until the watch is back.
fn log_failure<K: Resource<DynamicType = ()>>(error: &watcher::Error) {
    tracing::warn!(%error, kind = %K::kind(&()), "cannot watch the cluster's objects");
}

/// Returns a trigger that fires when the spec or the annotations change.
pub fn spec_or_annotations<K: Resource>() -> impl Predicate<K> {
    predicates::generation.combine(predicates::annotations)
}

fn decode_event<K: Resource<DynamicType = ()>>(
    event: Event<DeserializeGuard<K>>,
    metrics: &Metrics,
) -> Option<Event<K>> {
    match event {
        Event::Init => Some(Event::Init),
        Event::InitDone => Some(Event::InitDone),
        Event::InitApply(guard) => decode(guard, metrics).map(Event::InitApply),
        Event::Apply(guard) => decode(guard, metrics).map(Event::Apply),
        Event::Delete(guard) => decode(guard, metrics).map(Event::Delete),
    }
}

fn decode<K: Resource<DynamicType = ()>>(guard: DeserializeGuard<K>, metrics: &Metrics) -> Option<K> {
    if log_undecodable(&guard) {
        metrics.on_unreadable_object(K::kind(&()));
    }
    guard.0.ok()
}
