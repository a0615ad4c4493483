//! The pool's Deployment.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use trackyard_crds::WorkerPool;

use super::super::labels::{labels, selector};
use super::{AgentSettings, ChildrenError, metadata, pod};

pub(super) fn deployment(
    pool: &WorkerPool,
    replicas: u32,
    settings: &AgentSettings,
) -> Result<Deployment, ChildrenError> {
    let spec = DeploymentSpec {
        replicas: Some(i32::try_from(replicas).map_err(|_| ChildrenError::TooLarge)?),
        revision_history_limit: Some(2),
        selector: LabelSelector { match_labels: Some(selector(pool)), ..LabelSelector::default() },
        strategy: Some(strategy(pool)),
        template: template(pool, settings)?,
        ..DeploymentSpec::default()
    };
    Ok(Deployment { metadata: metadata(pool)?, spec: Some(spec), ..Deployment::default() })
}

fn strategy(pool: &WorkerPool) -> DeploymentStrategy {
    let rollout = &pool.spec.rollout;
    DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(rollout.max_surge.clone()),
            max_unavailable: Some(rollout.max_unavailable.clone()),
        }),
    }
}

fn template(pool: &WorkerPool, settings: &AgentSettings) -> Result<PodTemplateSpec, ChildrenError> {
    let user = &pool.spec.template;
    let mut all_labels = user.labels.clone();
    all_labels.extend(labels(pool));
    let annotations = (!user.annotations.is_empty()).then(|| user.annotations.clone());
    let metadata = ObjectMeta { labels: Some(all_labels), annotations, ..ObjectMeta::default() };
    Ok(PodTemplateSpec { metadata: Some(metadata), spec: Some(pod::pod(pool, settings)?) })
}
