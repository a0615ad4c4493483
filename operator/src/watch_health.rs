//! Detects watches that have gone silent. A connection may die without an error; then nothing is reconciled while everything
//! looks healthy. So a layer of the client records when data arrives on each watch, including the bookmarks of a quiet cluster.

mod activity;
mod layer;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Resource;
use kube::client::{Client, ClientBuilder};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use trackyard_crds::{ContainerVersion, WorkerPool, client};

use self::activity::WatchActivity;

/// The activity of all watches of one client. Clones share their state.
#[derive(Debug, Clone, Default)]
pub struct WatchHealth(Arc<Mutex<WatchActivity>>);

impl WatchHealth {
    /// Returns a client whose watches are observed.
    ///
    /// # Errors
    /// If no configuration for a client is found.
    pub async fn client(&self, watch_timeout: Duration) -> Result<Client, kube::Error> {
        let config = client::config(watch_timeout).await.map_err(kube::Error::InferConfig)?;
        Ok(ClientBuilder::try_from(config)?.with_layer(self).build())
    }

    /// Describes the watches that have been silent for too long, if there are any.
    #[must_use]
    pub fn silent(&self) -> Option<String> {
        let silent = self.activity().silent(Instant::now());
        let descriptions: Vec<String> = silent
            .iter()
            .map(|(resource, idle)| {
                format!("the watch of {} has been silent for {} s", kind(resource), idle.as_secs())
            })
            .collect();
        (!descriptions.is_empty()).then(|| descriptions.join(", "))
    }

    fn on_request(&self, watch: &str, resource: &str, timeout: Option<Duration>) {
        self.activity().on_request(watch, resource, timeout, Instant::now());
    }

    fn on_data(&self, watch: &str) {
        self.activity().on_data(watch, Instant::now());
    }

    fn activity(&self) -> MutexGuard<'_, WatchActivity> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for WatchHealth {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help =
            "Time since data last arrived on the watch of a kind; at most about a minute in a quiet cluster";
        let mut family =
            encoder.encode_descriptor("operator_watch_idle_seconds", help, None, MetricType::Gauge)?;
        for (resource, idle) in self.activity().idle_times(Instant::now()) {
            let labels = [("kind", kind(&resource))];
            ConstGauge::new(idle.as_secs_f64()).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// Returns the kind of a plural resource name; the name itself if the operator does not watch such a kind.
fn kind(resource: &str) -> String {
    fn names<K: Resource<DynamicType = ()>>() -> (String, String) {
        (K::plural(&()).into_owned(), K::kind(&()).into_owned())
    }
    let known: BTreeMap<String, String> = [
        names::<ContainerVersion>(),
        names::<Deployment>(),
        names::<Pod>(),
        names::<PodDisruptionBudget>(),
        names::<Secret>(),
        names::<ServiceAccount>(),
        names::<WorkerPool>(),
    ]
    .into();
    known.get(resource).cloned().unwrap_or_else(|| resource.to_owned())
}
