//! The pods that each pool lacks. The metric is computed when it is scraped, so that it never names a deleted pool.

use std::fmt;
use std::sync::{Arc, OnceLock};

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use kube::runtime::reflector::Store;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::pool::labels::POOL_LABEL;

/// Collects the metric from a store of Deployments. Clones share the store.
#[derive(Clone, Default)]
pub(super) struct MissingPods(Arc<OnceLock<Store<Deployment>>>);

impl fmt::Debug for MissingPods {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MissingPods")
    }
}

impl MissingPods {
    pub(super) fn set_store(&self, deployments: &Store<Deployment>) {
        // The process has one such store.
        let _ = self.0.set(deployments.clone());
    }
}

impl Collector for MissingPods {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Desired pods of a pool that are not ready";
        let mut family =
            encoder.encode_descriptor("operator_pool_missing_pods", help, None, MetricType::Gauge)?;
        let deployments = self.0.get().map(Store::state).unwrap_or_default();
        for (pool, count) in deployments.iter().filter_map(|deployment| missing_pods(deployment)) {
            ConstGauge::new(count).encode(family.encode_family(&[("pool", pool)])?)?;
        }
        Ok(())
    }
}

/// Returns the pool of a Deployment and the number of its missing pods.
fn missing_pods(deployment: &Deployment) -> Option<(&str, i64)> {
    let pool = deployment.labels().get(POOL_LABEL)?;
    let desired = deployment.spec.as_ref()?.replicas.unwrap_or(0);
    let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    Some((pool, i64::from(desired.saturating_sub(ready).max(0))))
}

#[cfg(test)]
mod tests {
    use super::missing_pods;
    use rstest::rstest;
    use serde_json::{Value, json};

    #[rstest]
    #[case::some_ready(json!({"trackyard.dev/pool": "ruby"}), 3, json!({"readyReplicas": 1}), Some(("ruby", 2)))]
    #[case::no_status(json!({"trackyard.dev/pool": "ruby"}), 3, json!(null), Some(("ruby", 3)))]
    #[case::more_than_desired(json!({"trackyard.dev/pool": "ruby"}), 1, json!({"readyReplicas": 2}), Some(("ruby", 0)))]
    #[case::no_pool_label(json!({}), 3, json!(null), None)]
    fn missing_pods_are_counted(
        #[case] labels: Value,
        #[case] replicas: i32,
        #[case] status: Value,
        #[case] expected: Option<(&str, i64)>,
    ) {
        let deployment = json!({
            "metadata": {"labels": labels}, "status": status,
            "spec": {"replicas": replicas, "selector": {}, "template": {}}
        });
        assert_eq!(missing_pods(&serde_json::from_value(deployment).unwrap()), expected);
    }
}
