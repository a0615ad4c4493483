//! The start of a long-running process: runtime, signals, admin port and metrics.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::admin::{self, Admin};
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::shutdown::{self, Shutdown};

/// Time that blocking tasks, such as a DNS lookup, have to end when the process ends.
const BLOCKING_TASKS_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The admin port cannot be bound.
    #[error(transparent)]
    Admin(#[from] admin::Error),
    /// The signals cannot be handled.
    #[error(transparent)]
    Shutdown(#[from] shutdown::Error),
}

/// What a process has from its start to its end.
#[derive(Debug)]
pub struct ProcessContext {
    /// The requested shutdown.
    pub shutdown: Shutdown,
    /// Stops all background tasks. Cancelled when the process value is dropped.
    pub stop: CancellationToken,
    /// The gates that must be open for the process to be ready.
    pub readiness: Readiness,
    /// The admin port.
    pub admin: TcpListener,
    /// The metrics, to which each part adds its own.
    pub metrics: Registry,
    _stop_on_drop: DropGuard,
}

impl ProcessContext {
    /// Handles signals and binds the admin port, in the current runtime.
    ///
    /// # Errors
    /// If the admin port cannot be bound, or signals cannot be handled.
    pub async fn start(
        component: &'static str,
        version: &'static str,
        admin: SocketAddr,
    ) -> Result<Self, ProcessError> {
        let shutdown = Shutdown::on_signals()?;
        let admin = Admin::bind(admin).await?;
        tracing::info!(
            address = admin.local_addr().ok().map(tracing::field::display),
            "the admin port is open"
        );
        let stop = CancellationToken::new();
        Ok(Self {
            shutdown,
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
            readiness: Readiness::default(),
            admin,
            metrics: Metrics::registry(component, version),
        })
    }
}

/// Runs `main` in a new runtime with `threads` worker threads, one for each processor by default. Does not wait for
/// background tasks.
///
/// # Errors
/// If the runtime cannot be made.
pub fn block_on<T>(threads: Option<usize>, main: impl Future<Output = T>) -> io::Result<T> {
    let mut builder = Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    let runtime = builder.enable_all().build()?;
    let output = runtime.block_on(main);
    runtime.shutdown_timeout(BLOCKING_TASKS_TIMEOUT);
    Ok(output)
}
