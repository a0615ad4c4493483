//! Where a worker keeps things: layers, running jobs, results. A container's own file system will not do, as overlays
//! cannot be stacked.

use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, HostPathVolumeSource, KeyToPath, SecretVolumeSource, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;
use trackyard_crds::WorkerPool;
use trackyard_protocol::quantity::Bytes;

use super::super::{Error, Settings};
use super::some;
use crate::keys::{OWN_KEY, ROUTER_KEY};

/// The agent's directory: layers are in it.
pub(super) const WORK: &str = "/var/lib/trackyard";
/// Running jobs, on tmpfs.
pub(super) const RUN: &str = "/run/trackyard";
/// What all agents of an installation read, such as certificate authorities.
const FILES: &str = "/etc/trackyard-agent";
/// The worker's keys, and the router's public one.
pub(super) const KEY: &str = "/etc/trackyard-key";
/// Where nodes keep the layers of pools that share them.
const NODE: &str = "/var/lib/trackyard-layers";
/// The directory of layers in the agent's.
const LAYERS: &str = "/var/lib/trackyard/layers";

pub(super) fn volumes(pool: &WorkerPool, settings: &Settings) -> Result<Vec<Volume>, Error> {
    let mut volumes = vec![empty("work", Some(work(pool)?), None), empty("run", None, Some("Memory"))];
    if pool.spec.cache.node_local.is_some() {
        let path = format!("{NODE}/{}/{}", pool.namespace().unwrap_or_default(), pool.name_any());
        let source = HostPathVolumeSource { path, type_: Some("DirectoryOrCreate".to_owned()) };
        volumes.push(Volume { name: "layers".to_owned(), host_path: Some(source), ..Volume::default() });
    }
    volumes.extend(settings.files_secret.as_ref().map(|secret| of_secret("files", secret, &[])));
    let key = |secret: &String| of_secret("key", secret, &[OWN_KEY, ROUTER_KEY]);
    volumes.extend(settings.key_secret.as_ref().map(key));
    Ok(volumes)
}

pub(super) fn mounts(pool: &WorkerPool, settings: &Settings) -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        ..VolumeMount::default()
    };
    let mut mounts = vec![mount("work", WORK), mount("run", RUN)];
    if pool.spec.cache.node_local.is_some() {
        mounts.push(mount("layers", LAYERS));
    }
    if settings.files_secret.is_some() {
        mounts.push(VolumeMount { read_only: Some(true), ..mount("files", FILES) });
    }
    if settings.key_secret.is_some() {
        mounts.push(VolumeMount { read_only: Some(true), ..mount("key", KEY) });
    }
    mounts
}

/// How large the agent's directory may become: the files of jobs, and layers unless the node keeps them.
pub(super) fn work(pool: &WorkerPool) -> Result<Bytes, Error> {
    let slots = u64::try_from(pool.spec.slots).map_err(|_| Error::TooLarge)?;
    let Bytes(slot) = pool.spec.slot.storage;
    let cache = pool.spec.cache.empty_dir.as_ref().map_or(0, |cache| cache.size.0);
    let all = slot.checked_mul(slots).and_then(|jobs| jobs.checked_add(cache));
    all.map(Bytes).ok_or(Error::TooLarge)
}

/// A pod starts only once the Secret has each of `items`.
fn of_secret(name: &str, secret: &str, items: &[&str]) -> Volume {
    let item = |&key: &&str| KeyToPath { key: key.to_owned(), path: key.to_owned(), mode: None };
    let source = SecretVolumeSource {
        secret_name: Some(secret.to_owned()),
        items: some(items.iter().map(item).collect()),
        ..SecretVolumeSource::default()
    };
    Volume { name: name.to_owned(), secret: Some(source), ..Volume::default() }
}

fn empty(name: &str, size: Option<Bytes>, medium: Option<&str>) -> Volume {
    let source = EmptyDirVolumeSource {
        size_limit: size.map(|size| Quantity(size.to_string())),
        medium: medium.map(ToOwned::to_owned),
    };
    Volume { name: name.to_owned(), empty_dir: Some(source), ..Volume::default() }
}
