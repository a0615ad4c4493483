//! Writes to the worker namespace: the objects that deploy versions, and the status of all versions.

use kube::Client;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use trackyard_crds::ContainerVersion as Object;
use trackyard_crds::container_version::ContainerVersionSpec;
use trackyard_protocol::request::Tooling;
use trackyard_protocol::version::ContainerVersion;

use super::object::{MADE_BY_LABEL, VersionObject};
use super::status::{Lookup, status};
use crate::versions::StoreError;

const FIELD_MANAGER: &str = "trackyard-router";

/// Writes the versions of a namespace.
pub(super) struct Writer(Api<Object>);

impl Writer {
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        Self(Api::namespaced(client, namespace))
    }

    /// Creates an object that deploys a version.
    pub(super) async fn create(
        &self,
        tooling: &Tooling,
        version: &ContainerVersion,
    ) -> Result<(), StoreError> {
        let object = object(tooling, version);
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match self.0.create(&params, &object).await {
            // Another writer was faster. If the object deploys another version, the caller times out.
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            result => result.map(drop).map_err(unavailable),
        }
    }

    /// Deletes this object, but no later object of the same name.
    pub(super) async fn delete(&self, object: &VersionObject) -> Result<(), StoreError> {
        let preconditions = Preconditions { uid: Some(object.uid.clone()), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match self.0.delete(&object.name, &params).await {
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
            result => result.map(drop).map_err(unavailable),
        }
    }

    /// Writes the result of a lookup into a version's status, unless it is stored already.
    pub(super) async fn apply_status(
        &self,
        object: &VersionObject,
        lookup: &Lookup<'_>,
    ) -> Result<(), StoreError> {
        let Some(status) = status(object, lookup) else { return Ok(()) };
        let params = PatchParams::apply(FIELD_MANAGER).force();
        match self.0.patch_status(&object.name, &params, &Patch::Apply(&status)).await {
            // The object was deleted meanwhile, or another one has its name.
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
            result => result.map(drop).map_err(unavailable),
        }
    }
}

fn object(tooling: &Tooling, version: &ContainerVersion) -> Object {
    let name = format!("{}-{}-{version}", tooling.channel, tooling.track).replace('_', "-");
    let spec = ContainerVersionSpec {
        channel: tooling.channel,
        track: tooling.track.to_string(),
        version: Some(version.to_string()),
        git_reference: None,
        limits: None,
    };
    let labels = [MADE_BY_LABEL, ("app.kubernetes.io/managed-by", FIELD_MANAGER)];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let metadata = ObjectMeta { name: Some(name), labels: Some(labels.into()), ..ObjectMeta::default() };
    Object { metadata, spec, status: None }
}

fn unavailable(error: kube::Error) -> StoreError {
    tracing::error!(%error, "cannot write to the cluster");
    StoreError::Unavailable(match error {
        kube::Error::Api(status) => format!("the cluster refuses this: {}", status.message),
        _ => "the cluster cannot be reached now".to_owned(),
    })
}
