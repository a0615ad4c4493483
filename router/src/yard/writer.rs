//! What the router writes into the yard: objects that deploy versions, and the status of all.

use kube::Client;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use trackyard_crds::ContainerVersion as Object;
use trackyard_crds::container_version::ContainerVersionSpec;
use trackyard_protocol::request::Place;
use trackyard_protocol::version::ContainerVersion;

use super::object::{MADE_BY, Version, tooling};
use super::status::{Outcome, status};
use crate::versions::Error;

const MANAGER: &str = "trackyard-router";

/// The namespace's versions, for writing.
pub(super) struct Writer(Api<Object>);

impl Writer {
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        Self(Api::namespaced(client, namespace))
    }

    /// Makes an object that deploys a version.
    pub(super) async fn create(&self, place: &Place, version: &ContainerVersion) -> Result<(), Error> {
        let object = object(place, version)?;
        match self
            .0
            .create(&PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }, &object)
            .await
        {
            // Somebody was faster; if it is another version's object, it never comes to be seen.
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            done => done.map(drop).map_err(unavailable),
        }
    }

    /// Deletes an object, and no other that has taken its name.
    pub(super) async fn delete(&self, known: &Version) -> Result<(), Error> {
        let this = Preconditions { uid: Some(known.uid.clone()), resource_version: None };
        let params = DeleteParams { preconditions: Some(this), ..DeleteParams::default() };
        match self.0.delete(&known.name, &params).await {
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
            done => done.map(drop).map_err(unavailable),
        }
    }

    /// Writes what became of a version, unless that is written.
    pub(super) async fn tell(&self, known: &Version, outcome: &Outcome<'_>) -> Result<(), Error> {
        let Some(status) = status(known, outcome) else { return Ok(()) };
        let params = PatchParams::apply(MANAGER).force();
        match self.0.patch_status(&known.name, &params, &Patch::Apply(&status)).await {
            // It went meanwhile, or another has its name.
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
            done => done.map(drop).map_err(unavailable),
        }
    }
}

fn object(place: &Place, version: &ContainerVersion) -> Result<Object, Error> {
    let channel = tooling(place.channel)
        .ok_or_else(|| Error::Unavailable(format!("{} has no container versions", place.channel)))?;
    let name = format!("{}-{}-{version}", place.channel, place.track).replace('_', "-");
    let spec = ContainerVersionSpec {
        channel,
        track: place.track.to_string(),
        version: Some(version.to_string()),
        git_reference: None,
        limits: None,
    };
    let labels = [MADE_BY, ("app.kubernetes.io/managed-by", MANAGER)];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let metadata = ObjectMeta { name: Some(name), labels: Some(labels.into()), ..ObjectMeta::default() };
    Ok(Object { metadata, spec, status: None })
}

fn unavailable(error: kube::Error) -> Error {
    tracing::error!(%error, "the cluster did not take a change");
    Error::Unavailable(match error {
        kube::Error::Api(status) => format!("the cluster refuses this: {}", status.message),
        _ => "the cluster cannot be reached now".to_owned(),
    })
}
