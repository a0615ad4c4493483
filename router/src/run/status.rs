//! `/status.json`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use trackyard_daemon::admin::Admin;
use trackyard_daemon::clock::{Moment, millis};
use trackyard_daemon::readiness::Readiness;

use crate::config::{Config, LiveConfig};
use crate::service::Handle;

use trackyard_protocol::pools::Report;

use super::life::Endpoints;
use crate::pools::report;

/// Longer than any turn of the service; one that does not answer in this time is stuck.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the status page is made of.
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

    /// Names the service that runs now.
    pub(super) fn serve(&self, service: Option<(Handle, Endpoints)>) {
        *self.service.lock().unwrap_or_else(PoisonError::into_inner) = service;
    }

    pub(super) fn show_on(self: &Arc<Self>, admin: Admin) -> Admin {
        let status = Arc::clone(self);
        admin.with_status(move || {
            let status = Arc::clone(&status);
            async move { status.page().await }
        })
    }

    /// What the operator is told; none while nothing serves.
    pub(super) async fn report(&self) -> Option<Report> {
        let (handle, _) = self.service()?;
        let snapshot = tokio::time::timeout(PATIENCE, handle.snapshot()).await.ok().flatten()?;
        Some(report(&snapshot, &self.configs.borrow().container_versions))
    }

    fn service(&self) -> Option<(Handle, Endpoints)> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn page(&self) -> Value {
        let (dispatch, endpoints) = match self.service() {
            Some((handle, endpoints)) => {
                (tokio::time::timeout(PATIENCE, handle.snapshot()).await.ok().flatten(), Some(endpoints))
            }
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
            "config": {"refused": self.live.trouble(), "container_versions": config.container_versions},
            "dispatch": dispatch,
        })
    }
}
