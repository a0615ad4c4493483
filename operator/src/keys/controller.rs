//! Keeps the contents of the Secrets as desired, whoever changes them.

use std::future::pending;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use kube::core::ObjectMeta;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use tokio::sync::watch::{self, Receiver, Sender};
use trackyard_protocol::keys::{Curve, KeyPair};

use super::{KeyError, KeySecrets, SecretData, SecretRef, desired_contents};
use crate::writer::{WriteError, Writer};

/// Delay after a failure, unless a Secret changes before.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Returns the operator's own keys, once they are known, and the task that maintains `secrets`, if there are any, until it is
/// dropped.
pub fn maintain(
    client: &Client,
    writer: &Writer,
    secrets: Option<KeySecrets>,
) -> (Receiver<Option<Curve>>, impl Future<Output = ()> + Send + use<>) {
    let (curve, receiver) = watch::channel(None);
    let client = client.clone();
    let writer = writer.clone();
    let task = async move {
        match secrets {
            Some(secrets) => KeyController { writer, secrets, curve }.run(&client).await,
            None => pending().await,
        }
    };
    (receiver, task)
}

/// Why the Secrets do not have the desired contents.
#[derive(Debug, thiserror::Error)]
enum SecretError {
    #[error("the Secret {}/{} is missing; create it again with `helm upgrade`", .0.namespace, .0.name)]
    NoSecret(SecretRef),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

struct KeyController {
    writer: Writer,
    secrets: KeySecrets,
    curve: Sender<Option<Curve>>,
}

impl KeyController {
    async fn run(self, client: &Client) {
        let mut keys_stream = Box::pin(watch_secret(client, &self.secrets.keys));
        let mut worker_stream = Box::pin(watch_secret(client, &self.secrets.worker));
        let mut keys = None;
        let mut worker = None;
        let mut has_failed = false;
        loop {
            tokio::select! {
                Some(found) = keys_stream.next() => keys = Some(found),
                Some(found) = worker_stream.next() => worker = Some(found),
                () = tokio::time::sleep(RETRY_INTERVAL), if has_failed => {}
            }
            let (Some(keys), Some(worker)) = (&keys, &worker) else { continue };
            let result = self.reconcile(keys.as_ref(), worker.as_ref()).await;
            has_failed = result.is_err();
            match result {
                // After a conflict the watch brings the newer Secret.
                Err(SecretError::Write(error)) if error.is_conflict() => {}
                Err(error) => tracing::warn!(%error, "cannot maintain the keys of router and workers"),
                Ok(()) => {}
            }
        }
    }

    async fn reconcile(&self, keys: Option<&Secret>, worker: Option<&Secret>) -> Result<(), SecretError> {
        let keys = keys.ok_or_else(|| SecretError::NoSecret(self.secrets.keys.clone()))?;
        let worker = worker.ok_or_else(|| SecretError::NoSecret(self.secrets.worker.clone()))?;
        let found = keys.data.clone().unwrap_or_default();
        let desired = desired_contents(&found, &self.secrets.policy, KeyPair::generate)?;
        if !self.secrets.policy.given {
            self.apply(keys, desired.keys).await?;
        }
        self.apply(worker, desired.worker).await?;
        self.curve.send_if_modified(|curve| {
            let has_changed = curve.as_ref() != Some(&desired.curve);
            *curve = Some(desired.curve);
            has_changed
        });
        Ok(())
    }

    /// Writes the data if it differs. The write names the version that was found, so that it never replaces keys that somebody
    /// else has created meanwhile.
    async fn apply(&self, found: &Secret, data: SecretData) -> Result<(), WriteError> {
        if found.data.as_ref() == Some(&data) {
            return Ok(());
        }
        tracing::info!(secret = found.name_any(), namespace = found.namespace(), "writing keys");
        let metadata = ObjectMeta {
            name: Some(found.name_any()),
            namespace: found.namespace(),
            resource_version: found.resource_version(),
            ..ObjectMeta::default()
        };
        self.writer.apply("Secret", &Secret { metadata, data: Some(data), ..Secret::default() }).await
    }
}

/// Returns a stream of the Secret's states, beginning with the current one; none while it does not exist.
fn watch_secret(client: &Client, secret: &SecretRef) -> impl Stream<Item = Option<Secret>> + Send + use<> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &secret.namespace);
    watcher::watch_object(api, &secret.name).default_backoff().filter_map(|found| {
        let found = found.inspect_err(|error| tracing::warn!(%error, "cannot watch the Secrets of the keys"));
        std::future::ready(found.ok())
    })
}
