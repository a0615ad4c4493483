//! The volumes for a worker's layers, running jobs and results. The container's own file system is an overlay, and overlays
//! cannot be stacked.

use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, HostPathVolumeSource, KeyToPath, SecretVolumeSource, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;
use trackyard_crds::WorkerPool;
use trackyard_protocol::quantity::Bytes;

use super::super::{AgentSettings, ChildrenError};
use super::non_empty;
use crate::keys::{ROUTER_PUBLIC_KEY, WORKER_KEY};

/// The agent's directory, which holds the layers.
pub(super) const WORK_DIR: &str = "/var/lib/trackyard";
/// The directory of running jobs, on tmpfs.
pub(super) const RUN_DIR: &str = "/run/trackyard";
/// The files of all agents of an installation, such as certificate authorities.
const FILES_DIR: &str = "/etc/trackyard-agent";
/// The worker's keys, and the router's public key.
pub(super) const KEY_DIR: &str = "/etc/trackyard-key";
/// The node's directory for the layers of pools with a node-local cache.
const NODE_LAYERS_DIR: &str = "/var/lib/trackyard-layers";
/// The directory of layers in the agent's directory.
const LAYERS_DIR: &str = "/var/lib/trackyard/layers";

pub(super) fn volumes(pool: &WorkerPool, settings: &AgentSettings) -> Result<Vec<Volume>, ChildrenError> {
    let mut volumes =
        vec![empty_dir("work", Some(work_dir_size(pool)?), None), empty_dir("run", None, Some("Memory"))];
    if pool.spec.cache.node_local.is_some() {
        let path = format!("{NODE_LAYERS_DIR}/{}/{}", pool.namespace().unwrap_or_default(), pool.name_any());
        let source = HostPathVolumeSource { path, type_: Some("DirectoryOrCreate".to_owned()) };
        volumes.push(Volume { name: "layers".to_owned(), host_path: Some(source), ..Volume::default() });
    }
    if let Some(secret) = &settings.files_secret {
        volumes.push(secret_volume("files", secret, &[]));
    }
    if let Some(secret) = &settings.key_secret {
        volumes.push(secret_volume("key", secret, &[WORKER_KEY, ROUTER_PUBLIC_KEY]));
    }
    Ok(volumes)
}

pub(super) fn mounts(pool: &WorkerPool, settings: &AgentSettings) -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        ..VolumeMount::default()
    };
    let mut mounts = vec![mount("work", WORK_DIR), mount("run", RUN_DIR)];
    if pool.spec.cache.node_local.is_some() {
        mounts.push(mount("layers", LAYERS_DIR));
    }
    if settings.files_secret.is_some() {
        mounts.push(VolumeMount { read_only: Some(true), ..mount("files", FILES_DIR) });
    }
    if settings.key_secret.is_some() {
        mounts.push(VolumeMount { read_only: Some(true), ..mount("key", KEY_DIR) });
    }
    mounts
}

/// Returns the maximum size of the agent's directory: the files of jobs, and the layers unless the node keeps them.
pub(super) fn work_dir_size(pool: &WorkerPool) -> Result<Bytes, ChildrenError> {
    let slots = u64::try_from(pool.spec.slots).map_err(|_| ChildrenError::TooLarge)?;
    let Bytes(slot) = pool.spec.slot.storage;
    let cache = pool.spec.cache.empty_dir.as_ref().map_or(0, |cache| cache.size.0);
    let all = slot.checked_mul(slots).and_then(|jobs| jobs.checked_add(cache));
    all.map(Bytes).ok_or(ChildrenError::TooLarge)
}

/// Returns a volume with the keys of a Secret, or all if none is given. A pod starts only once the Secret has each of `keys`.
fn secret_volume(name: &str, secret: &str, keys: &[&str]) -> Volume {
    let items = keys.iter().map(|&key| KeyToPath { key: key.to_owned(), path: key.to_owned(), mode: None });
    let source = SecretVolumeSource {
        secret_name: Some(secret.to_owned()),
        items: non_empty(items.collect()),
        ..SecretVolumeSource::default()
    };
    Volume { name: name.to_owned(), secret: Some(source), ..Volume::default() }
}

fn empty_dir(name: &str, size: Option<Bytes>, medium: Option<&str>) -> Volume {
    let source = EmptyDirVolumeSource {
        size_limit: size.map(|size| Quantity(size.to_string())),
        medium: medium.map(ToOwned::to_owned),
    };
    Volume { name: name.to_owned(), empty_dir: Some(source), ..Volume::default() }
}
