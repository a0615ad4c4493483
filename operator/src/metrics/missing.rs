//! How many pods each pool lacks, at the moment in which somebody asks: a pool that is gone is not told of.

use std::fmt;
use std::sync::{Arc, OnceLock};

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use kube::runtime::reflector::Store;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::pool::build::POOL;

/// Clones are the same.
#[derive(Clone, Default)]
pub(super) struct MissingPods(Arc<OnceLock<Store<Deployment>>>);

impl fmt::Debug for MissingPods {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MissingPods")
    }
}

impl MissingPods {
    pub(super) fn of(&self, deployments: &Store<Deployment>) {
        // There is one for the whole life of the process.
        let _ = self.0.set(deployments.clone());
    }
}

impl Collector for MissingPods {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Pods that a pool is to have and that are not ready";
        let mut family =
            encoder.encode_descriptor("operator_pool_missing_pods", help, None, MetricType::Gauge)?;
        let deployments = self.0.get().map(Store::state).unwrap_or_default();
        for (pool, missing) in deployments.iter().filter_map(|deployment| missing(deployment)) {
            ConstGauge::new(missing).encode(family.encode_family(&[("pool", pool)])?)?;
        }
        Ok(())
    }
}

fn missing(deployment: &Deployment) -> Option<(&str, i64)> {
    let pool = deployment.labels().get(POOL)?;
    let wanted = deployment.spec.as_ref()?.replicas.unwrap_or(0);
    let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    Some((pool, i64::from(wanted.saturating_sub(ready).max(0))))
}

#[cfg(test)]
mod tests {
    use super::missing;
    use rstest::rstest;
    use serde_json::{Value, json};

    #[rstest]
    #[case::some(json!({"trackyard.dev/pool": "ruby"}), 3, json!({"readyReplicas": 1}), Some(("ruby", 2)))]
    #[case::nothing_is_there(json!({"trackyard.dev/pool": "ruby"}), 3, json!(null), Some(("ruby", 3)))]
    #[case::more_than_wanted(json!({"trackyard.dev/pool": "ruby"}), 1, json!({"readyReplicas": 2}), Some(("ruby", 0)))]
    #[case::somebody_elses(json!({}), 3, json!(null), None)]
    fn pods_that_are_missing(
        #[case] labels: Value,
        #[case] replicas: i32,
        #[case] status: Value,
        #[case] expected: Option<(&str, i64)>,
    ) {
        let deployment = json!({
            "metadata": {"labels": labels}, "status": status,
            "spec": {"replicas": replicas, "selector": {}, "template": {}}
        });
        assert_eq!(missing(&serde_json::from_value(deployment).unwrap()), expected);
    }
}
