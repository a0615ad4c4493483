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

use super::super::{AGENT, Error, Settings, channel, drain};
use super::{some, volumes};
use crate::keys::{OWN_KEY, ROUTER_KEY};

const ADMIN: i32 = 9181;

pub(super) fn container(pool: &WorkerPool, settings: &Settings) -> Result<Container, Error> {
    let resources = resources(pool, settings)?;
    Ok(Container {
        name: AGENT.to_owned(),
        image: Some(pool.spec.image.clone().unwrap_or_else(|| settings.image.clone())),
        args: Some(arguments(pool, settings)),
        env: Some(environment(pool, settings)),
        env_from: settings.environment_secret.clone().map(|name| vec![all_of(name)]),
        ports: Some(vec![ContainerPort {
            name: Some("admin".to_owned()),
            container_port: ADMIN,
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        resources: Some(ResourceRequirements {
            requests: Some(resources.clone()),
            limits: Some(resources),
            ..ResourceRequirements::default()
        }),
        security_context: Some(SecurityContext { privileged: Some(true), ..SecurityContext::default() }),
        // What the agent says last is what a user reads in the pool's condition.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: some(volumes::mounts(pool, settings)),
        // A pod is alive while it answers; readiness is whether the sandbox works and the versions are there.
        liveness_probe: Some(probe("/livez", 10, 3)),
        readiness_probe: Some(probe("/readyz", 2, 1)),
        ..Container::default()
    })
}

fn arguments(pool: &WorkerPool, settings: &Settings) -> Vec<String> {
    let mut all =
        vec!["listen".to_owned(), "$(POD_NAME)".to_owned(), url(pool, settings), volumes::WORK.to_owned()];
    let mut flag = |name: &str, value: String| all.extend([name.to_owned(), value]);
    flag("--pool", pool.name_any());
    flag("--slots", pool.spec.slots.to_string());
    flag("--drain-timeout", HumanDuration(drain(pool)).to_string());
    flag("--admin", format!("0.0.0.0:{ADMIN}"));
    flag("--run-dir", volumes::RUN.to_owned());
    // A slot's size is a promise to the node, whatever the router says.
    flag("--max-cpus", pool.spec.slot.cpu.0.to_string());
    flag("--max-memory", pool.spec.slot.memory.0.to_string());
    if settings.key_secret.is_some() {
        flag("--curve-key", format!("{}/{OWN_KEY}", volumes::KEY));
        flag("--router-key", format!("{}/{ROUTER_KEY}", volumes::KEY));
    }
    all
}

fn url(pool: &WorkerPool, settings: &Settings) -> String {
    let mut topics: Vec<&String> = pool.spec.topics.iter().filter(|&topic| topic != "*").collect();
    topics.sort();
    let topics: Vec<String> = topics.iter().map(|topic| format!("topic={topic}")).collect();
    let query = if topics.is_empty() { String::new() } else { format!("?{}", topics.join("&")) };
    format!("{}/{}{query}", settings.router, channel(pool))
}

fn all_of(secret: String) -> EnvFromSource {
    let source = SecretEnvSource { name: secret, ..SecretEnvSource::default() };
    EnvFromSource { secret_ref: Some(source), ..EnvFromSource::default() }
}

/// The user's variables come last, and none of them has a name of the operator's; one that all agents have is the
/// pool's to change.
fn environment(pool: &WorkerPool, settings: &Settings) -> Vec<EnvVar> {
    let field =
        ObjectFieldSelector { api_version: Some("v1".to_owned()), field_path: "metadata.name".to_owned() };
    let name = EnvVar {
        name: "POD_NAME".to_owned(),
        value_from: Some(EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() }),
        ..EnvVar::default()
    };
    let own = &pool.spec.template.env;
    let mut common = settings.environment.clone();
    if pool.spec.channel == Channel::Builders {
        // A variable, for an agent of an earlier release would not start with a flag that it does not know.
        let disk = pool.spec.slot.storage.0.to_string();
        common.entry("TRACKYARD_MAX_BUILD_DISK".to_owned()).or_insert(disk);
    }
    common.retain(|name, _| !own.iter().any(|variable| variable.name == *name));
    let common =
        common.into_iter().map(|(name, value)| EnvVar { name, value: Some(value), ..EnvVar::default() });
    [name].into_iter().chain(common).chain(own.iter().cloned()).collect()
}

/// All slots and the agent's own share, as requests and as limits: a pod is never where there is no room for its jobs.
fn resources(pool: &WorkerPool, settings: &Settings) -> Result<BTreeMap<String, Quantity>, Error> {
    let slots = u64::try_from(pool.spec.slots).map_err(|_| Error::TooLarge)?;
    let share = settings.share;
    let cpu = u64::from(pool.spec.slot.cpu.0)
        .checked_mul(slots)
        .and_then(|all| all.checked_add(share.cpu.0.into()));
    let cpu = cpu.and_then(|all| u32::try_from(all).ok()).ok_or(Error::TooLarge)?;
    let memory = pool.spec.slot.memory.0.checked_mul(slots).and_then(|all| all.checked_add(share.memory.0));
    let storage = volumes::work(pool)?.0.checked_add(share.storage.0);
    let bytes = |bytes: Option<u64>| bytes.map(Bytes).ok_or(Error::TooLarge);
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
