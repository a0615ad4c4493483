//! Gets a Lease, renews it, gives it back.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease as Object, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, ResourceExt};
use tokio::time::{sleep, timeout};

use super::decide::{Observer, Record, Step};
use super::{DEADLINE, DURATION, Gate, RENEW, RETRY};

/// The lease is another's, or may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Another has it.
    #[error("another operator, {0}, has the lease; this one ends, so that never two write")]
    Taken(String),
    /// It could not be renewed in time.
    #[error("the lease could not be renewed for {} s; this operator ends, so that never two write", DEADLINE.as_secs())]
    Expired,
}

/// A Lease, and who wants it.
pub struct Lease {
    api: Api<Object>,
    name: String,
    identity: String,
    gate: Gate,
    started: Instant,
}

impl Lease {
    /// The lease of this name, for `identity`, which no other process has; `gate` is open while it is held.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, identity: String, gate: Gate) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, name: name.to_owned(), identity, gate, started: Instant::now() }
    }

    /// Waits until it is held.
    pub async fn acquire(&self) {
        let mut observer = Observer::default();
        let mut holder = None;
        loop {
            match self.attempt(&mut observer).await {
                Ok(Step::Wait) => {}
                Ok(_) => return tracing::info!(identity = self.identity, "holds the lease"),
                Err(error) => tracing::warn!(%error, "cannot look after the lease"),
            }
            let now = self.holder().await;
            if now != holder {
                tracing::info!(holder = now, "another holds the lease");
                holder = now;
            }
            sleep(RETRY).await;
        }
    }

    /// Renews it until it is lost.
    pub async fn keep(&self) -> Lost {
        let mut observer = Observer::default();
        let mut renewed = Instant::now();
        loop {
            sleep(RENEW.min(DEADLINE.saturating_sub(renewed.elapsed()) / 2)).await;
            let asked = Instant::now();
            match self.attempt(&mut observer).await {
                Ok(Step::Renew) => renewed = asked,
                Ok(_) => return self.lose(Lost::Taken(self.holder().await.unwrap_or_default())),
                Err(error) => tracing::warn!(%error, "the lease is not renewed"),
            }
            if renewed.elapsed() >= DEADLINE {
                return self.lose(Lost::Expired);
            }
        }
    }

    /// Gives it back, so that another has it at once. To be called when nothing writes any more.
    pub async fn release(&self) {
        self.gate.close();
        let Ok(Ok(Some(mut lease))) = timeout(RETRY, self.api.get_opt(&self.name)).await else { return };
        if record(&lease).holder.as_deref() == Some(&self.identity) {
            lease.spec.get_or_insert_default().holder_identity = None;
            // Another gets it a little later if this does not come through.
            let _ = timeout(RETRY, self.api.replace(&self.name, &PostParams::default(), &lease)).await;
        }
    }

    fn lose(&self, lost: Lost) -> Lost {
        self.gate.close();
        lost
    }

    async fn holder(&self) -> Option<String> {
        let lease = timeout(RETRY, self.api.get_opt(&self.name)).await.ok()?.ok()??;
        record(&lease).holder
    }

    /// Looks, and does what is to be done.
    async fn attempt(&self, observer: &mut Observer) -> Result<Step, Error> {
        let asked = Instant::now();
        let step = timeout(DEADLINE / 2, self.look(observer)).await.map_err(|_| Error::Slow)??;
        if step != Step::Wait {
            self.gate.renewed(asked);
        }
        Ok(step)
    }

    async fn look(&self, observer: &mut Observer) -> Result<Step, Error> {
        let lease = self.api.get_opt(&self.name).await.map_err(Box::new)?;
        let step = observer.step(lease.as_ref().map(record).as_ref(), &self.identity, self.now());
        let write = PostParams::default();
        match (step, lease) {
            (Step::Wait, _) => return Ok(Step::Wait),
            (_, None) => {
                self.api.create(&write, &self.held(None)).await.map_err(Box::new)?;
            }
            // Refused if somebody wrote meanwhile.
            (_, Some(old)) => {
                self.api.replace(&self.name, &write, &self.held(Some(old))).await.map_err(Box::new)?;
            }
        }
        Ok(step)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// The lease as this process holds it, over what it was.
    fn held(&self, old: Option<Object>) -> Object {
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
        let mut lease = old.unwrap_or_else(|| Object { metadata, ..Object::default() });
        let is_new = record(&lease).holder.as_deref() != Some(&self.identity);
        let spec = lease.spec.get_or_insert_default();
        let now = Some(MicroTime(Timestamp::now()));
        if is_new {
            spec.acquire_time = now.clone();
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
        }
        *spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            renew_time: now,
            ..std::mem::take(spec)
        };
        lease
    }
}

/// Why the lease was not looked after.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Cluster(#[from] Box<kube::Error>),
    #[error("the API server took too long")]
    Slow,
}

fn record(lease: &Object) -> Record {
    let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
    Record { holder, version: lease.resource_version().unwrap_or_default() }
}
