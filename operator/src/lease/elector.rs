//! Acquires, renews and releases the Lease.

use std::time::Instant;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, ResourceExt};
use tokio::time::{sleep, timeout};

use super::decide::{LeaseAction, LeaseObserver, LeaseRecord};
use super::{LEASE_DURATION, RENEW_DEADLINE, RENEW_INTERVAL, RETRY_INTERVAL, WriteGate};

/// Why this process no longer holds the Lease.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseLost {
    /// Another operator has taken it.
    #[error("lost the lease to the operator {0}; this process exits, so that two operators never write")]
    Taken(String),
    /// It could not be renewed in time.
    #[error(
        "cannot renew the lease for {} s; this process exits, so that two operators never write",
        RENEW_DEADLINE.as_secs()
    )]
    Expired,
}

/// Competes for one Lease on behalf of this process.
pub struct LeaderElector {
    api: Api<Lease>,
    name: String,
    identity: String,
    gate: WriteGate,
    started: Instant,
}

impl LeaderElector {
    /// Competes for the Lease `name` as `identity`, which must be unique. `gate` is open while the Lease is held.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, identity: String, gate: WriteGate) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, name: name.to_owned(), identity, gate, started: Instant::now() }
    }

    /// Waits until this process holds the Lease.
    pub async fn acquire(&self) {
        let mut observer = LeaseObserver::default();
        let mut known_holder = None;
        loop {
            match self.attempt(&mut observer).await {
                Ok(LeaseAction::Wait) => {}
                Ok(_) => return tracing::info!(identity = self.identity, "acquired the lease"),
                Err(error) => tracing::warn!(%error, "cannot acquire the lease"),
            }
            let holder = self.holder().await;
            if holder != known_holder {
                tracing::info!(holder, "waiting: another operator holds the lease");
                known_holder = holder;
            }
            sleep(RETRY_INTERVAL).await;
        }
    }

    /// Renews the Lease until it is lost.
    pub async fn renew_until_lost(&self) -> LeaseLost {
        let mut observer = LeaseObserver::default();
        let mut renewed = Instant::now();
        loop {
            sleep(RENEW_INTERVAL.min(RENEW_DEADLINE.saturating_sub(renewed.elapsed()) / 2)).await;
            let requested = Instant::now();
            match self.attempt(&mut observer).await {
                Ok(LeaseAction::Renew) => renewed = requested,
                Ok(_) => return self.lose(LeaseLost::Taken(self.holder().await.unwrap_or_default())),
                Err(error) => tracing::warn!(%error, "cannot renew the lease"),
            }
            if renewed.elapsed() >= RENEW_DEADLINE {
                return self.lose(LeaseLost::Expired);
            }
        }
    }

    /// Releases the Lease, so that another operator can take it at once. Must be called only when nothing writes any more.
    pub async fn release(&self) {
        self.gate.close();
        let Ok(Ok(Some(mut lease))) = timeout(RETRY_INTERVAL, self.api.get_opt(&self.name)).await else {
            return;
        };
        if record(&lease).holder.as_deref() == Some(&self.identity) {
            lease.spec.get_or_insert_default().holder_identity = None;
            // If this fails, the Lease expires a little later.
            let write = PostParams::default();
            let _ = timeout(RETRY_INTERVAL, self.api.replace(&self.name, &write, &lease)).await;
        }
    }

    fn lose(&self, why: LeaseLost) -> LeaseLost {
        self.gate.close();
        why
    }

    async fn holder(&self) -> Option<String> {
        let lease = timeout(RETRY_INTERVAL, self.api.get_opt(&self.name)).await.ok()?.ok()??;
        record(&lease).holder
    }

    /// Reads the Lease and acts on it once. Opens the gate if the Lease was written.
    async fn attempt(&self, observer: &mut LeaseObserver) -> Result<LeaseAction, LeaseError> {
        let requested = Instant::now();
        let action =
            timeout(RENEW_DEADLINE / 2, self.act(observer)).await.map_err(|_| LeaseError::Timeout)??;
        if action != LeaseAction::Wait {
            self.gate.on_renewed(requested);
        }
        Ok(action)
    }

    async fn act(&self, observer: &mut LeaseObserver) -> Result<LeaseAction, LeaseError> {
        let lease = self.api.get_opt(&self.name).await.map_err(Box::new)?;
        let now = self.started.elapsed();
        let action = observer.decide(lease.as_ref().map(record).as_ref(), &self.identity, now);
        let write = PostParams::default();
        match (action, lease) {
            (LeaseAction::Wait, _) => return Ok(LeaseAction::Wait),
            (_, None) => {
                self.api.create(&write, &self.claim(None)).await.map_err(Box::new)?;
            }
            // The API server refuses this write if somebody else wrote meanwhile.
            (_, Some(old)) => {
                self.api.replace(&self.name, &write, &self.claim(Some(old))).await.map_err(Box::new)?;
            }
        }
        Ok(action)
    }

    /// Returns the Lease `old` as held by this process.
    fn claim(&self, old: Option<Lease>) -> Lease {
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
        let mut lease = old.unwrap_or_else(|| Lease { metadata, ..Lease::default() });
        let is_new = record(&lease).holder.as_deref() != Some(&self.identity);
        let spec = lease.spec.get_or_insert_default();
        let now = Some(MicroTime(Timestamp::now()));
        if is_new {
            spec.acquire_time = now.clone();
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
        }
        *spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
            renew_time: now,
            ..std::mem::take(spec)
        };
        lease
    }
}

/// Why an attempt at the Lease failed.
#[derive(Debug, thiserror::Error)]
enum LeaseError {
    #[error(transparent)]
    Cluster(#[from] Box<kube::Error>),
    #[error("the API server has not answered for {} s", (RENEW_DEADLINE / 2).as_secs())]
    Timeout,
}

fn record(lease: &Lease) -> LeaseRecord {
    let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
    LeaseRecord { holder, version: lease.resource_version().unwrap_or_default() }
}
