//! The part of a ContainerVersion's status that the router writes: the digest, the image, and whether it is deployed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use trackyard_crds::condition::ConditionUpdate;
use trackyard_crds::container_version::ContainerVersionStatus;
use trackyard_crds::{GROUP, VERSION};
use trackyard_protocol::version::Digest;

use super::object::VersionObject;

/// The result of looking up the digest of a version's tag.
pub(super) enum Lookup<'a> {
    /// The tag was found.
    Resolved {
        /// The digest that the tag names.
        digest: &'a Digest,
        /// The image's location, without the digest.
        image: &'a str,
    },
    /// The tag could not be looked up.
    Failed {
        /// The reason.
        message: &'a str,
    },
}

/// Returns the status to apply; `None` if it is stored already.
pub(super) fn status(object: &VersionObject, lookup: &Lookup<'_>) -> Option<Value> {
    let condition = condition(object, lookup);
    let is_stored = object.condition.as_ref().is_some_and(|stored| {
        (&stored.status, &stored.reason, &stored.message, stored.observed_generation)
            == (&condition.status, &condition.reason, &condition.message, condition.observed_generation)
    });
    let has_new_digest = matches!(lookup, Lookup::Resolved { .. }) && object.pinned.digest.is_none();
    if is_stored && !has_new_digest {
        return None;
    }
    let mut status = ContainerVersionStatus {
        version: (!object.is_built).then(|| object.pinned.version.to_string()),
        conditions: vec![condition],
        ..ContainerVersionStatus::default()
    };
    if let Lookup::Resolved { digest, image } = lookup {
        status.digest = Some(digest.to_string());
        status.image = Some(format!("{image}@{digest}"));
    }
    Some(json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "ContainerVersion",
        // The uid keeps the patch from another object that has taken the name meanwhile.
        "metadata": {"name": object.name, "uid": object.uid},
        "status": status,
    }))
}

fn condition(object: &VersionObject, lookup: &Lookup<'_>) -> Condition {
    let update = match lookup {
        Lookup::Resolved { .. } => ConditionUpdate::new(true, "Deployed"),
        Lookup::Failed { message } => ConditionUpdate::new(false, "ImageNotFound").with_message(*message),
    };
    update.into_condition("Deployed", object.generation, object.condition.as_slice(), &Time(Timestamp::now()))
}
