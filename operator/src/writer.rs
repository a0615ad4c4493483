//! All that the operator writes: applied on the server by managers of fixed names, so that what others write into other
//! fields stays, and only while no other operator may write.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::events::{Recorder, Reporter};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::events::Happened;
use crate::lease::{Gate, NotLeader};

const MANAGER: &str = "trackyard-operator";
const STATUS_MANAGER: &str = "trackyard-operator-status";
/// A write that takes longer is given up: a connection may die without a word, and nothing else ends the wait for an
/// answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not take it.
    #[error("cannot apply the {what}: {source}")]
    Refused {
        /// What it was.
        what: &'static str,
        /// Why not.
        source: Box<kube::Error>,
    },
    /// The API server did not answer. Whether it has written is not known.
    #[error("cannot apply the {what}: the API server has not answered for {} s", PATIENCE.as_secs())]
    Slow {
        /// What it was.
        what: &'static str,
    },
    /// Another operator may write.
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
}

impl Error {
    /// True if the API server has understood and refused; false for conflicts, haste and its own failures.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::NotLeader(_) | Self::Slow { .. } => false,
            Self::Refused { source, .. } => {
                matches!(&**source, kube::Error::Api(status) if matches!(status.code, 400..=499) && ![409, 429].contains(&status.code))
            }
        }
    }

    /// True if the object has changed since it was read.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { source, .. } if matches!(&**source, kube::Error::Api(status) if status.code == 409))
    }

    /// The word for metrics and conditions.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotLeader(_) => "NotLeader",
            Self::Slow { .. } => "Slow",
            Self::Refused { .. } => "ApplyFailed",
        }
    }
}

/// Writes. Clones are the same.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    gate: Gate,
    recorder: Recorder,
}

impl Writer {
    /// Writes while `gate` is open.
    #[must_use]
    pub fn new(client: Client, gate: Gate) -> Self {
        let recorder =
            Recorder::new(client.clone(), Reporter { controller: MANAGER.to_owned(), instance: None });
        Self { client, gate, recorder }
    }

    fn api<K>(&self, object: &K) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default())
    }

    async fn patch(
        &self,
        what: &'static str,
        write: impl Future<Output = Result<(), kube::Error>>,
    ) -> Result<(), Error> {
        let refused = |source| Error::Refused { what, source: Box::new(source) };
        let write =
            async { timeout(PATIENCE, write).await.map_err(|_| Error::Slow { what })?.map_err(refused) };
        self.gate.write(write).await
    }

    /// Applies an object.
    ///
    /// # Errors
    /// If it is not taken.
    pub async fn apply<K>(&self, what: &'static str, object: &K) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Serialize,
    {
        let (api, name) = (self.api(object), object.name_any());
        let manager = PatchParams::apply(MANAGER).force();
        let patch = Patch::Apply(object);
        self.patch(what, async { api.patch(&name, &manager, &patch).await.map(drop) }).await
    }

    /// Applies an object's status.
    ///
    /// # Errors
    /// If it is not taken.
    pub async fn status<K>(&self, object: &K, status: &impl Serialize) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let (api, name) = (self.api(object), object.name_any());
        let manager = PatchParams::apply(STATUS_MANAGER).force();
        let (version, kind) = (K::api_version(&()), K::kind(&()));
        // Not another object that has taken the name meanwhile.
        let metadata = json!({"uid": object.uid()});
        let whole = json!({"apiVersion": version, "kind": kind, "metadata": metadata, "status": status});
        let patch = Patch::Apply(whole);
        self.patch("status", async { api.patch_status(&name, &manager, &patch).await.map(drop) }).await
    }

    /// Tells of an object what has happened. That somebody hears of it is not worth another try.
    pub async fn tell<K>(&self, object: &K, happened: &[Happened])
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let about = object.object_ref(&());
        for one in happened {
            let event = one.event();
            let told = self.patch("Event", self.recorder.publish(&event, &about)).await;
            if let Err(error) = told {
                tracing::warn!(%error, "an event is not recorded");
            }
        }
    }

    /// Merges into an object what `patch` names.
    ///
    /// # Errors
    /// If it is not taken.
    pub async fn merge<K>(&self, what: &'static str, object: &K, patch: Value) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let (api, name) = (self.api(object), object.name_any());
        let patch = Patch::Merge(patch);
        let params = PatchParams::default();
        self.patch(what, async { api.patch(&name, &params, &patch).await.map(drop) }).await
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::pending;

    use k8s_openapi::api::core::v1::ServiceAccount;
    use kube::api::ObjectMeta;
    use kube::client::Body;
    use tokio::time::Instant;
    use tower::service_fn;

    use super::*;

    /// Of an API server that takes every request and answers none.
    fn writer() -> Writer {
        let silent =
            service_fn(|_: http::Request<Body>| pending::<Result<http::Response<Body>, Infallible>>());
        Writer::new(Client::new(silent, "yard"), Gate::always())
    }

    fn account() -> ServiceAccount {
        let metadata = ObjectMeta {
            name: Some("ruby".to_owned()),
            namespace: Some("yard".to_owned()),
            ..ObjectMeta::default()
        };
        ServiceAccount { metadata, ..ServiceAccount::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_is_a_failure_to_be_tried_again() {
        let error = writer().apply("ServiceAccount", &account()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot apply the ServiceAccount: the API server has not answered for 30 s"
        );
        assert_eq!((error.reason(), error.is_final(), error.is_conflict()), ("Slow", false, false));
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_that_is_not_taken_keeps_nobody_for_ever() {
        let begun = Instant::now();
        writer().tell(&account(), &[Happened::Ready]).await;
        assert_eq!(begun.elapsed(), PATIENCE);
    }
}
