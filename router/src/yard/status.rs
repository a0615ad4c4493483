//! What the router says of a ContainerVersion: its digest, where its image is, and whether it is deployed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use trackyard_crds::container_version::ContainerVersionStatus;
use trackyard_crds::{GROUP, VERSION};
use trackyard_protocol::version::Digest;

use super::object::Version;

/// What became of a version.
pub(super) enum Outcome<'a> {
    /// Its tag was looked up.
    Deployed {
        /// What it names.
        digest: &'a Digest,
        /// Where the image is, without the digest.
        image: &'a str,
    },
    /// Its tag cannot be looked up.
    Unresolved {
        /// Why not.
        message: &'a str,
    },
}

/// The status to apply; none if it says so already.
pub(super) fn status(known: &Version, outcome: &Outcome<'_>) -> Option<Value> {
    let condition = condition(known, outcome);
    let same = |told: &Condition| {
        (&told.status, &told.reason, &told.message, told.observed_generation)
            == (&condition.status, &condition.reason, &condition.message, condition.observed_generation)
    };
    let is_new = match outcome {
        Outcome::Deployed { .. } => known.pinned.digest.is_none(),
        Outcome::Unresolved { .. } => false,
    };
    if known.told.as_ref().is_some_and(same) && !is_new {
        return None;
    }
    let mut status = ContainerVersionStatus {
        version: (!known.is_built).then(|| known.pinned.version.to_string()),
        conditions: vec![condition],
        ..ContainerVersionStatus::default()
    };
    if let Outcome::Deployed { digest, image } = outcome {
        status.digest = Some(digest.to_string());
        status.image = Some(format!("{image}@{digest}"));
    }
    Some(json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "ContainerVersion",
        // Not another object that has taken the name meanwhile.
        "metadata": {"name": known.name, "uid": known.uid},
        "status": status,
    }))
}

fn condition(known: &Version, outcome: &Outcome<'_>) -> Condition {
    let (status, reason, message) = match outcome {
        Outcome::Deployed { .. } => ("True", "Deployed", ""),
        Outcome::Unresolved { message } => ("False", "ImageNotFound", *message),
    };
    let since = known.told.as_ref().filter(|told| told.status == status);
    Condition {
        type_: "Deployed".to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: known.generation,
        last_transition_time: since
            .map_or_else(|| Time(Timestamp::now()), |told| told.last_transition_time.clone()),
    }
}
