//! All that the operator writes: applied on the server by managers of fixed names, so that what others write into other
//! fields stays, and only while no other operator may write.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::events::{Recorder, Reporter};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::events::Happened;
use crate::lease::{Gate, NotLeader};

const MANAGER: &str = "trackyard-operator";
const STATUS_MANAGER: &str = "trackyard-operator-status";

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
    /// Another operator may write.
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
}

impl Error {
    /// True if the API server has understood and refused; false for conflicts, haste and its own failures.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::NotLeader(_) => false,
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
        self.gate
            .write(async { write.await.map_err(|source| Error::Refused { what, source: Box::new(source) }) })
            .await
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
