//! Whether the watches live. A connection may die without a word, and then nothing is reconciled any more while all looks
//! well: so what comes by each watch is heard where it comes in, the bookmarks of a quiet cluster included.

mod age;
mod hear;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::client::{Client, ClientBuilder};
use kube::{Config, Resource};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use trackyard_crds::{ContainerVersion, WorkerPool};

use self::age::Ages;

/// What is heard of the watches of one client. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Vitals(Arc<Mutex<Ages>>);

impl Vitals {
    /// A client whose watches are heard.
    ///
    /// # Errors
    /// If there is no configuration for one.
    pub async fn client(&self) -> Result<Client, kube::Error> {
        let mut config = Config::infer().await.map_err(kube::Error::InferConfig)?;
        // It would try again for minutes without a word; whoever asks has a pause of its own, and tells of failures.
        config.default_retry = false;
        Ok(ClientBuilder::try_from(config)?.with_layer(self).build())
    }

    /// The kinds of which nothing was heard for too long, if there are any.
    #[must_use]
    pub fn silent(&self) -> Option<String> {
        let silent = self.ages().silent(Instant::now());
        let said: Vec<String> = silent
            .iter()
            .map(|(resource, age)| format!("no word of {} for {} s", kind(resource), age.as_secs()))
            .collect();
        (!said.is_empty()).then(|| said.join(", "))
    }

    fn asked(&self, watch: &str, resource: &str, timeout: Option<Duration>) {
        self.ages().asked(watch, resource, timeout, Instant::now());
    }

    fn heard(&self, watch: &str) {
        self.ages().heard(watch, Instant::now());
    }

    fn ages(&self) -> MutexGuard<'_, Ages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Vitals {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help =
            "How long ago something came by the watch of a kind; a minute at most where nothing happens";
        let mut family =
            encoder.encode_descriptor("operator_watch_age_seconds", help, None, MetricType::Gauge)?;
        for (resource, age) in self.ages().all(Instant::now()) {
            let labels = [("kind", kind(&resource))];
            ConstGauge::new(age.as_secs_f64()).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// The kind of a resource's name, as users know it.
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
