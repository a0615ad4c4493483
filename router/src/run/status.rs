//! The page `/status.json`, and the load report.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use trackyard_daemon::admin::Admin;
use trackyard_daemon::clock::{Moment, millis};
use trackyard_daemon::readiness::Readiness;
use trackyard_protocol::load_report::LoadReport;

use crate::config::{Config, LiveConfig};
use crate::service::Handle;

use super::instance::Endpoints;
use crate::pools::report;

/// Timeout of a request to the service, longer than any iteration of it.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(2);

/// The sources of the status page.
pub(super) struct Status {
    live: Arc<LiveConfig>,
    configs: Receiver<Arc<Config>>,
    readiness: Readiness,
    started: Moment,
    service: Mutex<Option<(Handle, Endpoints)>>,
}

impl Status {
    pub(super) fn new(live: Arc<LiveConfig>, configs: Receiver<Arc<Config>>, readiness: Readiness) -> Self {
        Self { live, configs, readiness, started: Moment::now(), service: Mutex::new(None) }
    }

    /// Sets the service that runs now.
    pub(super) fn set_service(&self, service: Option<(Handle, Endpoints)>) {
        *self.service.lock().unwrap_or_else(PoisonError::into_inner) = service;
    }

    pub(super) fn add_to(self: &Arc<Self>, admin: Admin) -> Admin {
        let status = Arc::clone(self);
        admin.with_status(move || {
            let status = Arc::clone(&status);
            async move { status.page().await }
        })
    }

    /// Returns the load report for the operator; `None` while there is no service.
    pub(super) async fn report(&self) -> Option<LoadReport> {
        let (handle, _) = self.service()?;
        let snapshot = tokio::time::timeout(SNAPSHOT_TIMEOUT, handle.snapshot()).await.ok().flatten()?;
        Some(report(&snapshot, &self.configs.borrow().container_versions))
    }

    fn service(&self) -> Option<(Handle, Endpoints)> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn page(&self) -> Value {
        let (dispatch, endpoints) = match self.service() {
            Some((handle, endpoints)) => (
                tokio::time::timeout(SNAPSHOT_TIMEOUT, handle.snapshot()).await.ok().flatten(),
                Some(endpoints),
            ),
            None => (None, None),
        };
        let config = self.configs.borrow().clone();
        json!({
            "component": "router",
            "version": env!("CARGO_PKG_VERSION"),
            "started_ms": self.started.unix_ms,
            "uptime_ms": millis(self.started.elapsed()),
            "clients": endpoints.as_ref().map(|endpoints| endpoints.clients.to_string()),
            "workers_endpoint": endpoints.as_ref().map(|endpoints| endpoints.workers.to_string()),
            "keyed_clients": endpoints.as_ref().and_then(|endpoints| endpoints.keyed_clients.as_ref()).map(ToString::to_string),
            "ready": self.readiness.is_ready(),
            "missing": self.readiness.missing(),
            "config": {"refused": self.live.refusal(), "container_versions": config.container_versions},
            "dispatch": dispatch,
        })
    }
}
