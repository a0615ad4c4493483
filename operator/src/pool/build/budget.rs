//! The pool's PodDisruptionBudget, which limits how many pods may be evicted at a time.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use trackyard_crds::WorkerPool;

use super::super::labels::selector;
use super::{ChildrenError, metadata};

pub(super) fn budget(pool: &WorkerPool) -> Result<PodDisruptionBudget, ChildrenError> {
    let selector = LabelSelector { match_labels: Some(selector(pool)), ..LabelSelector::default() };
    let spec = PodDisruptionBudgetSpec {
        max_unavailable: Some(IntOrString::String("25%".to_owned())),
        selector: Some(selector),
        // A pod that never becomes ready must not block the drain of its node.
        unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
        ..PodDisruptionBudgetSpec::default()
    };
    Ok(PodDisruptionBudget { metadata: metadata(pool)?, spec: Some(spec), ..PodDisruptionBudget::default() })
}
