//! A stored ContainerVersion, read: it may have been stored before a rule of its schema.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use trackyard_crds::container_version::Tooling;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::limits::LimitOverrides;
use trackyard_protocol::name::TrackSlug;
use trackyard_protocol::request::Place;
use trackyard_protocol::version::{Digest, PinnedVersion};

/// Marks the objects that the router has made, which it may delete again.
pub(super) const MADE_BY: (&str, &str) = ("trackyard.dev/made-by", "router");
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// A deployed version, and the object that deploys it.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// The object's name.
    pub name: String,
    /// The object's id: another of the same name is another.
    pub uid: String,
    /// Its channel and track.
    pub place: Place,
    /// The version, with its digest once that is known.
    pub pinned: PinnedVersion,
    /// What it changes of the limits.
    pub limits: Option<LimitOverrides>,
    /// Who manages it, if that is not the router.
    pub manager: Option<String>,
    /// The generation of its spec.
    pub generation: Option<i64>,
    /// Whether it is deployed, as last written.
    pub told: Option<Condition>,
    /// True if the version was built, so that the operator says which it is.
    pub is_built: bool,
}

impl Version {
    /// Reads an object. None while it goes, and while what it names is not built yet.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn read(object: &trackyard_crds::ContainerVersion) -> Result<Option<Self>, String> {
        let status = object.status.clone().unwrap_or_default();
        let built = status.version.filter(|_| object.spec.git_reference.is_some());
        let is_built = built.is_some();
        let Some(version) = object.spec.version.clone().or(built) else { return Ok(None) };
        if object.metadata.deletion_timestamp.is_some() {
            return Ok(None);
        }
        let version = version.parse().map_err(|error| format!("version: {error}"))?;
        let digest = status.digest.map(|digest| digest.parse::<Digest>()).transpose();
        let digest = digest.map_err(|error| format!("status.digest: {error}"))?;
        let track = TrackSlug::new(&*object.spec.track).map_err(|error| format!("track: {error}"))?;
        Ok(Some(Self {
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
            place: Place { channel: object.spec.channel.into(), track },
            pinned: PinnedVersion { version, digest },
            limits: object.spec.limits.as_ref().map(Into::into),
            manager: manager(object),
            generation: object.metadata.generation,
            told: status.conditions.into_iter().find(|condition| condition.type_ == "Deployed"),
            is_built,
        }))
    }
}

/// Who manages an object that the router has not made: as its label says, or as who wrote it last says of itself.
fn manager(object: &trackyard_crds::ContainerVersion) -> Option<String> {
    let labels = object.labels();
    if labels.get(MADE_BY.0).is_some_and(|by| by == MADE_BY.1) {
        return None;
    }
    let writers = object.metadata.managed_fields.iter().flatten();
    let mut last =
        writers.filter(|fields| fields.subresource.is_none()).filter_map(|fields| fields.manager.as_ref());
    labels.get(MANAGED_BY).or(last.next_back()).cloned().or(Some("somebody else".to_owned()))
}

/// A channel's word in a spec; none for builders, which have no versions.
pub(super) fn tooling(channel: Channel) -> Option<Tooling> {
    match channel {
        Channel::TestRunners => Some(Tooling::TestRunners),
        Channel::StaticAnalyzers => Some(Tooling::StaticAnalyzers),
        Channel::Representers => Some(Tooling::Representers),
        Channel::Builders => None,
    }
}
