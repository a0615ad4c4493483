//! Writes objects, statuses and events. All writes are server-side apply with fixed field managers, so that fields of other
//! managers stay, and all pass the lease's gate.

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

use crate::events::ObjectEvent;
use crate::lease::{NotLeader, WriteGate};

const FIELD_MANAGER: &str = "trackyard-operator";
const STATUS_FIELD_MANAGER: &str = "trackyard-operator-status";
/// Timeout of a write. A connection may die without an error, and nothing else would end the wait for the answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a write failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The API server rejected the write, or could not be reached.
    #[error("cannot apply the {what}: {source}")]
    Failed {
        /// What was written.
        what: &'static str,
        /// The client's error.
        source: Box<kube::Error>,
    },
    /// The API server did not answer. It may have written the object nevertheless.
    #[error("cannot apply the {what}: the API server has not answered for {} s", WRITE_TIMEOUT.as_secs())]
    Timeout {
        /// What was written.
        what: &'static str,
    },
    /// Another operator may write.
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
}

impl WriteError {
    /// Returns whether a retry is useless: the API server understood the write and rejected it. Conflicts, rate limits and
    /// server errors are not final.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.code().is_some_and(|code| matches!(code, 400..=499) && ![409, 429].contains(&code))
    }

    /// Returns whether the object has changed since it was read.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.code() == Some(409)
    }

    /// Returns the HTTP status with which the API server rejected the write.
    fn code(&self) -> Option<u16> {
        match self {
            Self::Failed { source, .. } => match &**source {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            Self::NotLeader(_) | Self::Timeout { .. } => None,
        }
    }

    /// Returns the reason for metrics and conditions.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotLeader(_) => "NotLeader",
            Self::Timeout { .. } => "Timeout",
            Self::Failed { .. } => "ApplyFailed",
        }
    }
}

/// Writes to the cluster. Clones share the client and the gate.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    gate: WriteGate,
    recorder: Recorder,
}

impl Writer {
    /// Returns a writer that writes while `gate` is open.
    #[must_use]
    pub fn new(client: Client, gate: WriteGate) -> Self {
        let reporter = Reporter { controller: FIELD_MANAGER.to_owned(), instance: None };
        let recorder = Recorder::new(client.clone(), reporter);
        Self { client, gate, recorder }
    }

    fn api<K>(&self, object: &K) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default())
    }

    async fn write(
        &self,
        what: &'static str,
        request: impl Future<Output = Result<(), kube::Error>>,
    ) -> Result<(), WriteError> {
        let bounded = async {
            let result = timeout(WRITE_TIMEOUT, request).await.map_err(|_| WriteError::Timeout { what })?;
            result.map_err(|source| WriteError::Failed { what, source: Box::new(source) })
        };
        self.gate.write(bounded).await
    }

    /// Applies an object.
    ///
    /// # Errors
    /// If it is not written.
    pub async fn apply<K>(&self, what: &'static str, object: &K) -> Result<(), WriteError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Serialize,
    {
        let api = self.api(object);
        let name = object.name_any();
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(object);
        self.write(what, async { api.patch(&name, &params, &patch).await.map(drop) }).await
    }

    /// Applies an object's status.
    ///
    /// # Errors
    /// If it is not written.
    pub async fn apply_status<K>(&self, object: &K, status: &impl Serialize) -> Result<(), WriteError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let api = self.api(object);
        let name = object.name_any();
        let params = PatchParams::apply(STATUS_FIELD_MANAGER).force();
        let patch = Patch::Apply(json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            // Without the UID the status might go to a newer object of the same name.
            "metadata": {"uid": object.uid()},
            "status": status,
        }));
        self.write("status", async { api.patch_status(&name, &params, &patch).await.map(drop) }).await
    }

    /// Publishes events of an object. A failure is logged and not retried.
    pub async fn publish<K>(&self, object: &K, events: &[ObjectEvent])
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let reference = object.object_ref(&());
        for event in events {
            let event = event.to_event();
            if let Err(error) = self.write("Event", self.recorder.publish(&event, &reference)).await {
                tracing::warn!(%error, "cannot publish an event");
            }
        }
    }

    /// Merges `patch` into an object.
    ///
    /// # Errors
    /// If it is not written.
    pub async fn merge<K>(&self, what: &'static str, object: &K, patch: Value) -> Result<(), WriteError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let api = self.api(object);
        let name = object.name_any();
        let patch = Patch::Merge(patch);
        let params = PatchParams::default();
        self.write(what, async { api.patch(&name, &params, &patch).await.map(drop) }).await
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

    /// Returns a writer to an API server that accepts every request and never answers.
    fn writer() -> Writer {
        let silent =
            service_fn(|_: http::Request<Body>| pending::<Result<http::Response<Body>, Infallible>>());
        Writer::new(Client::new(silent, "workers"), WriteGate::always_open())
    }

    fn account() -> ServiceAccount {
        let metadata = ObjectMeta {
            name: Some("ruby".to_owned()),
            namespace: Some("workers".to_owned()),
            ..ObjectMeta::default()
        };
        ServiceAccount { metadata, ..ServiceAccount::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn missing_answer_is_a_retryable_error() {
        let error = writer().apply("ServiceAccount", &account()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot apply the ServiceAccount: the API server has not answered for 30 s"
        );
        assert_eq!((error.reason(), error.is_final(), error.is_conflict()), ("Timeout", false, false));
    }

    #[tokio::test(start_paused = true)]
    async fn unanswered_event_times_out() {
        let start = Instant::now();
        writer().publish(&account(), &[ObjectEvent::Ready]).await;
        assert_eq!(start.elapsed(), WRITE_TIMEOUT);
    }
}
