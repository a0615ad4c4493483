//! The agent's container.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EnvFromSource, EnvVar, EnvVarSource, HTTPGetAction, ObjectFieldSelector, Probe,
    ResourceRequirements, SecretEnvSource, SecurityContext,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use trackyard_crds::WorkerPool;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::quantity::{Bytes, Cpus, HumanDuration};

use super::super::{AGENT_CONTAINER, AgentSettings, ChildrenError, drain_timeout};
use super::{non_empty, volumes};
use crate::keys::{ROUTER_PUBLIC_KEY, WORKER_KEY};

const ADMIN_PORT: i32 = 9181;

pub(super) fn container(pool: &WorkerPool, settings: &AgentSettings) -> Result<Container, ChildrenError> {
    let resources = resources(pool, settings)?;
    Ok(Container {
        name: AGENT_CONTAINER.to_owned(),
        image: Some(pool.spec.image.clone().unwrap_or_else(|| settings.image.clone())),
        args: Some(args(pool, settings)),
        env: Some(environment(pool, settings)),
        env_from: settings.environment_secret.clone().map(|name| vec![env_from_secret(name)]),
        ports: Some(vec![ContainerPort {
            name: Some("admin".to_owned()),
            container_port: ADMIN_PORT,
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        resources: Some(ResourceRequirements {
            requests: Some(resources.clone()),
            limits: Some(resources),
            ..ResourceRequirements::default()
        }),
        security_context: Some(SecurityContext { privileged: Some(true), ..SecurityContext::default() }),
        // The end of the agent's log becomes the message of the pool's condition.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: non_empty(volumes::mounts(pool, settings)),
        // A pod is live while it answers, and ready once the sandbox works and the versions are prepared.
        liveness_probe: Some(probe("/livez", 10, 3)),
        readiness_probe: Some(probe("/readyz", 2, 1)),
        ..Container::default()
    })
}

fn args(pool: &WorkerPool, settings: &AgentSettings) -> Vec<String> {
    let mut args = vec![
        "listen".to_owned(),
        "$(POD_NAME)".to_owned(),
        url(pool, settings),
        volumes::WORK_DIR.to_owned(),
    ];
    let mut flag = |name: &str, value: String| args.extend([name.to_owned(), value]);
    flag("--pool", pool.name_any());
    flag("--slots", pool.spec.slots.to_string());
    flag("--drain-timeout", HumanDuration(drain_timeout(pool)).to_string());
    flag("--admin", format!("0.0.0.0:{ADMIN_PORT}"));
    flag("--run-dir", volumes::RUN_DIR.to_owned());
    // The pod requests the size of its slots; no job may exceed it, whatever the router sends.
    flag("--max-cpus", pool.spec.slot.cpu.to_string());
    flag("--max-memory", pool.spec.slot.memory.to_string());
    if settings.key_secret.is_some() {
        flag("--curve-key", format!("{}/{WORKER_KEY}", volumes::KEY_DIR));
        flag("--router-key", format!("{}/{ROUTER_PUBLIC_KEY}", volumes::KEY_DIR));
    }
    args
}

fn url(pool: &WorkerPool, settings: &AgentSettings) -> String {
    let mut topics: Vec<&String> = pool.spec.topics.iter().filter(|&topic| topic != "*").collect();
    topics.sort();
    let topics: Vec<String> = topics.iter().map(|topic| format!("topic={topic}")).collect();
    let query = if topics.is_empty() { String::new() } else { format!("?{}", topics.join("&")) };
    let channel = pool.spec.channel.as_str();
    format!("{}/{}{query}", settings.router, channel)
}

fn env_from_secret(secret: String) -> EnvFromSource {
    let source = SecretEnvSource { name: secret, ..SecretEnvSource::default() };
    EnvFromSource { secret_ref: Some(source), ..EnvFromSource::default() }
}

/// Returns the agent's variables: the operator's, those of all agents, and the pool's own, which override those of all agents.
/// The schema rejects a pool whose variables have the operator's names.
fn environment(pool: &WorkerPool, settings: &AgentSettings) -> Vec<EnvVar> {
    let field =
        ObjectFieldSelector { api_version: Some("v1".to_owned()), field_path: "metadata.name".to_owned() };
    let pod_name = EnvVar {
        name: "POD_NAME".to_owned(),
        value_from: Some(EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() }),
        ..EnvVar::default()
    };
    let own = &pool.spec.template.env;
    let mut common = settings.environment.clone();
    if pool.spec.channel == Channel::Builders {
        // This is a variable because an agent of an earlier release would not start with an unknown flag.
        let disk = pool.spec.slot.storage.to_string();
        common.entry("TRACKYARD_MAX_BUILD_DISK".to_owned()).or_insert(disk);
    }
    common.retain(|name, _| !own.iter().any(|variable| variable.name == *name));
    let common =
        common.into_iter().map(|(name, value)| EnvVar { name, value: Some(value), ..EnvVar::default() });
    [pod_name].into_iter().chain(common).chain(own.iter().cloned()).collect()
}

/// Returns the resources of all slots and of the agent itself. They are requests and limits, so that a node with a pod always has
/// room for its jobs.
fn resources(
    pool: &WorkerPool,
    settings: &AgentSettings,
) -> Result<BTreeMap<String, Quantity>, ChildrenError> {
    let slots = u64::try_from(pool.spec.slots).map_err(|_| ChildrenError::TooLarge)?;
    let share = settings.share;
    let cpu = u64::from(pool.spec.slot.cpu.0)
        .checked_mul(slots)
        .and_then(|all| all.checked_add(share.cpu.0.into()));
    let cpu = cpu.and_then(|all| u32::try_from(all).ok()).ok_or(ChildrenError::TooLarge)?;
    let memory = pool.spec.slot.memory.0.checked_mul(slots).and_then(|all| all.checked_add(share.memory.0));
    let storage = volumes::work_dir_size(pool)?.0.checked_add(share.storage.0);
    let bytes = |bytes: Option<u64>| bytes.map(Bytes).ok_or(ChildrenError::TooLarge);
    Ok([
        ("cpu", Cpus(cpu).to_string()),
        ("memory", bytes(memory)?.to_string()),
        ("ephemeral-storage", bytes(storage)?.to_string()),
    ]
    .map(|(name, amount)| (name.to_owned(), Quantity(amount)))
    .into())
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    let get = HTTPGetAction {
        path: Some(path.to_owned()),
        port: IntOrString::String("admin".to_owned()),
        scheme: Some("HTTP".to_owned()),
        ..HTTPGetAction::default()
    };
    Probe {
        http_get: Some(get),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(2),
        ..Probe::default()
    }
}
