//! Puts the parts together.

use tokio_util::sync::CancellationToken;
use trackyard_daemon::admin::Admin;
use trackyard_daemon::metrics::Metrics;
use trackyard_daemon::readiness::Readiness;
use trackyard_daemon::shutdown::{self, Shutdown};
use trackyard_daemon::{admin, logs};

use crate::args::Args;
use crate::pool::controller;

/// Why the operator does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Logs.
    #[error(transparent)]
    Logs(#[from] logs::Error),
    /// The admin port.
    #[error(transparent)]
    Admin(#[from] admin::Error),
    /// Signals.
    #[error(transparent)]
    Shutdown(#[from] shutdown::Error),
    /// The runtime.
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
    /// The cluster.
    #[error("cannot reach a cluster: {0}; run it in one, or set KUBECONFIG")]
    Cluster(#[from] Box<kube::Error>),
    /// The watches ended.
    #[error("the watches have ended")]
    Ended,
}

/// Runs the operator until a signal ends it.
///
/// # Errors
/// If it cannot start, or a part of it fails.
pub fn run(args: &Args) -> Result<(), Error> {
    args.logs.init()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    runtime.block_on(serve(args))
}

async fn serve(args: &Args) -> Result<(), Error> {
    let shutdown = Shutdown::on_signals()?;
    let stop = CancellationToken::new();
    let _stop_all = stop.clone().drop_guard();
    let readiness = Readiness::default();
    let watches = readiness.gate("watches", "the first lists have not come yet");
    let listener = Admin::bind(args.admin).await?;
    let mut registry = Metrics::registry("operator", env!("CARGO_PKG_VERSION"));
    let own = crate::metrics::Metrics::register(&mut registry);
    tokio::spawn(Admin::new(readiness, Metrics::new(registry)).serve(listener, stop.clone()));
    let client = kube::Client::try_default().await.map_err(Box::new)?;
    tracing::info!(namespace = args.namespace, "watching");
    tokio::select! {
        () = shutdown.requested.cancelled() => Ok(()),
        () = controller::run(client, &args.namespace, args.settings(), watches, own) => Err(Error::Ended),
    }
}
