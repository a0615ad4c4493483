//! Puts the parts together.

use std::time::Duration;

use kube::Client;
use tokio_util::sync::CancellationToken;
use trackyard_daemon::admin::Admin;
use trackyard_daemon::metrics::Metrics;
use trackyard_daemon::readiness::{Gate, Readiness};
use trackyard_daemon::shutdown::{self, Shutdown};
use trackyard_daemon::{admin, logs};

use crate::args::Args;
use crate::figures::Figures;
use crate::lease::{self, Lease};
use crate::metrics::Metrics as OwnMetrics;
use crate::shared::Shared;
use crate::vitals::Vitals;
use crate::writer::Writer;
use crate::{builds, keys, kinds, pool, version};

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
    /// The lease.
    #[error(transparent)]
    Lease(lease::Lost),
    /// What is to go on for ever has ended.
    #[error("the operator no longer looks after {0}; it ends, to be started again")]
    Ended(&'static str),
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
    let ended = runtime.block_on(serve(args));
    // A resolver of names may still wait.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

async fn serve(args: &Args) -> Result<(), Error> {
    let shutdown = Shutdown::on_signals()?;
    let stop = CancellationToken::new();
    let _stop_all = stop.clone().drop_guard();
    let readiness = Readiness::default();
    let gates = Gates {
        kinds: readiness.gate("kinds", "it is not known yet whether they are there"),
        pools: readiness.gate("pools", "the first lists of pools and their children have not come yet"),
        versions: readiness.gate("versions", "the first list of versions has not come yet"),
    };
    let listener = Admin::bind(args.admin).await?;
    let mut registry = Metrics::registry("operator", env!("CARGO_PKG_VERSION"));
    let metrics = OwnMetrics::register(&mut registry);
    let vitals = Vitals::default();
    registry.register_collector(Box::new(vitals.clone()));
    let client = vitals.client().await.map_err(Box::new)?;
    let admin = Admin::new(readiness, Metrics::new(registry)).with_liveness_check(move || vitals.silent());
    tokio::spawn(admin.serve(listener, stop.clone()));
    let gate = if args.lease_namespace.is_some() { lease::Gate::shut() } else { lease::Gate::always() };
    let lease = args.lease(&client, &gate);
    let writer = Writer::new(client.clone(), gate);
    let ended = tokio::select! {
        () = shutdown.requested.cancelled() => Ok(()),
        error = lead(args, lease.as_ref(), client, writer, gates, metrics) => Err(error),
    };
    // Nothing writes any more.
    if let Some(lease) = lease {
        lease.release().await;
    }
    ended
}

/// Waits for the lease, then works while it is held; why it ends.
async fn lead(
    args: &Args,
    lease: Option<&Lease>,
    client: Client,
    writer: Writer,
    gates: Gates,
    metrics: OwnMetrics,
) -> Error {
    let Some(lease) = lease else {
        tracing::warn!("without --lease-namespace nothing keeps two operators from writing");
        metrics.leads(true);
        return Error::Ended(work(args, client, writer, gates, metrics).await);
    };
    // One that waits for the lease is as ready as it gets; what it lists before would be old when it is needed.
    gates.open();
    lease.acquire().await;
    gates.close("the lists that follow the lease have not come yet");
    metrics.leads(true);
    tokio::select! {
        ended = work(args, client, writer, gates, metrics) => Error::Ended(ended),
        lost = lease.keep() => Error::Lease(lost),
    }
}

/// All controllers, until one ends; which one.
async fn work(
    args: &Args,
    client: Client,
    writer: Writer,
    gates: Gates,
    metrics: OwnMetrics,
) -> &'static str {
    kinds::wait(&client, &gates.kinds).await;
    tracing::info!(namespace = args.namespace, "watching");
    let (curve, keeping) = keys::keep(&client, &writer, args.keys());
    let builds = builds::start(args.router_keyed.clone(), curve);
    let (figures, asking) = Figures::follow(args.router_admin.clone());
    let shared = Shared {
        client,
        namespace: args.namespace.clone(),
        watch_seconds: args.watch_seconds,
        writer,
        figures,
        metrics,
    };
    tokio::select! {
        () = asking => "the router's figures",
        () = keeping => "keys",
        () = pool::controller::run(shared.clone(), args.settings(), gates.pools) => "pools",
        () = version::controller::run(shared.clone(), builds, gates.versions) => "versions",
    }
}

/// What is open once the first lists have come.
struct Gates {
    kinds: Gate,
    pools: Gate,
    versions: Gate,
}

impl Gates {
    fn open(&self) {
        self.kinds.open();
        self.pools.open();
        self.versions.open();
    }

    fn close(&self, why: &str) {
        self.kinds.close(why);
        self.pools.close(why);
        self.versions.close(why);
    }
}
