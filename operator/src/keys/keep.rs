//! Keeps the Secrets as they are to be, whoever changes them.

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

use super::{Files, Place, Plan, fill};
use crate::writer::{self, Writer};

/// After a failure. A Secret that is missing or wrong is also looked at when it changes.
const AGAIN: Duration = Duration::from_secs(5);

/// Keeps the Secrets for ever, if there is a plan: that is the work to be done. The operator's own key is told once it is
/// known.
pub fn keep(
    client: &Client,
    writer: &Writer,
    plan: Option<Plan>,
) -> (Receiver<Option<Curve>>, impl Future<Output = ()> + Send + use<>) {
    let (told, curve) = watch::channel(None);
    let (client, writer) = (client.clone(), writer.clone());
    let work = async move {
        match plan {
            Some(plan) => Keeper { writer, plan, told }.run(&client).await,
            None => pending().await,
        }
    };
    (curve, work)
}

/// Why the Secrets are not as they are to be.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the Secret {}/{} is missing; `helm upgrade` makes it again", .0.namespace, .0.name)]
    NoSecret(Place),
    #[error(transparent)]
    Fill(#[from] super::Error),
    #[error(transparent)]
    Write(#[from] writer::Error),
}

struct Keeper {
    writer: Writer,
    plan: Plan,
    told: Sender<Option<Curve>>,
}

impl Keeper {
    async fn run(self, client: &Client) {
        let mut keys = Box::pin(follow(client, &self.plan.keys));
        let mut worker = Box::pin(follow(client, &self.plan.worker));
        let (mut all, mut workers) = (None, None);
        let mut failed = false;
        loop {
            tokio::select! {
                Some(found) = keys.next() => all = Some(found),
                Some(found) = worker.next() => workers = Some(found),
                () = tokio::time::sleep(AGAIN), if failed => {}
            }
            let (Some(all), Some(workers)) = (&all, &workers) else { continue };
            let done = self.attempt(all.as_ref(), workers.as_ref()).await;
            failed = match done {
                Ok(()) => false,
                // What it has become is on its way.
                Err(Error::Write(error)) if error.is_conflict() => true,
                Err(error) => {
                    tracing::warn!(%error, "the keys of router and workers are not in place");
                    true
                }
            };
        }
    }

    async fn attempt(&self, all: Option<&Secret>, workers: Option<&Secret>) -> Result<(), Error> {
        let all = all.ok_or_else(|| Error::NoSecret(self.plan.keys.clone()))?;
        let workers = workers.ok_or_else(|| Error::NoSecret(self.plan.worker.clone()))?;
        let filled = fill(&all.data.clone().unwrap_or_default(), &self.plan.rules, KeyPair::generate)?;
        if !self.plan.rules.given {
            self.apply(all, filled.keys).await?;
        }
        self.apply(workers, filled.worker).await?;
        self.told.send_if_modified(|told| {
            let changed = told.as_ref() != Some(&filled.curve);
            *told = Some(filled.curve);
            changed
        });
        Ok(())
    }

    /// Writes what is not there. Only onto what was found: keys that somebody has made meanwhile are not replaced.
    async fn apply(&self, found: &Secret, files: Files) -> Result<(), writer::Error> {
        if found.data.as_ref() == Some(&files) {
            return Ok(());
        }
        tracing::info!(secret = found.name_any(), namespace = found.namespace(), "writing keys");
        let metadata = ObjectMeta {
            name: Some(found.name_any()),
            namespace: found.namespace(),
            resource_version: found.resource_version(),
            ..ObjectMeta::default()
        };
        self.writer.apply("Secret", &Secret { metadata, data: Some(files), ..Secret::default() }).await
    }
}

/// The Secret as it is now, and whenever it changes; none while there is none.
fn follow(client: &Client, place: &Place) -> impl Stream<Item = Option<Secret>> + Send + use<> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &place.namespace);
    let told = |error| tracing::warn!(%error, "cannot follow the Secrets of keys");
    watcher::watch_object(api, &place.name)
        .default_backoff()
        .filter_map(move |found| std::future::ready(found.map_err(told).ok()))
}
