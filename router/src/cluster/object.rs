//! Reads a stored ContainerVersion. The object may be older than a rule of its schema.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use trackyard_protocol::limits::LimitOverrides;
use trackyard_protocol::name::TrackSlug;
use trackyard_protocol::request::Tooling;
use trackyard_protocol::version::{Digest, PinnedVersion};

/// Label of the objects that the router has created, and so may delete.
pub(super) const MADE_BY_LABEL: (&str, &str) = ("trackyard.dev/made-by", "router");
const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// A deployed version and the object that deploys it.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionObject {
    /// The object's name.
    pub name: String,
    /// The object's uid, which tells it from a later object of the same name.
    pub uid: String,
    /// The version's channel and track.
    pub tooling: Tooling,
    /// The version, with its digest once that is known.
    pub pinned: PinnedVersion,
    /// The limits that the object overrides.
    pub limits: Option<LimitOverrides>,
    /// The manager of the object, if that is not the router.
    pub manager: Option<String>,
    /// The generation of the spec.
    pub generation: Option<i64>,
    /// The stored condition `Deployed`.
    pub condition: Option<Condition>,
    /// True if the version was built, so that the operator writes its tag into the status.
    pub is_built: bool,
}

impl VersionObject {
    /// Reads an object. Returns `None` while it is being deleted and while its version is not built yet.
    ///
    /// # Errors
    /// The invalid field, and why it is invalid.
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
            tooling: Tooling { channel: object.spec.channel, track },
            pinned: PinnedVersion { version, digest },
            limits: object.spec.limits.as_ref().map(Into::into),
            manager: manager(object),
            generation: object.metadata.generation,
            condition: status.conditions.into_iter().find(|condition| condition.type_ == "Deployed"),
            is_built,
        }))
    }

    /// Returns true if the object deploys this version.
    pub(super) fn is_of(
        &self,
        tooling: &Tooling,
        version: &trackyard_protocol::version::ContainerVersion,
    ) -> bool {
        self.tooling == *tooling && self.pinned.version == *version
    }
}

/// Returns the manager of an object that the router has not created: by its label, or else its last writer.
fn manager(object: &trackyard_crds::ContainerVersion) -> Option<String> {
    let labels = object.labels();
    if labels.get(MADE_BY_LABEL.0).is_some_and(|by| by == MADE_BY_LABEL.1) {
        return None;
    }
    let writers = object.metadata.managed_fields.iter().flatten();
    let mut spec_writers =
        writers.filter(|fields| fields.subresource.is_none()).filter_map(|fields| fields.manager.as_ref());
    labels.get(MANAGED_BY_LABEL).or(spec_writers.next_back()).cloned().or(Some("somebody else".to_owned()))
}
