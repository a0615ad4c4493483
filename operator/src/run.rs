//! Starts the operator's parts and runs them until shutdown.

use std::time::Duration;

use kube::Client;
use trackyard_daemon::admin::Admin;
use trackyard_daemon::logs;
use trackyard_daemon::metrics::Metrics;
use trackyard_daemon::process::{self, ProcessContext, ProcessError};
use trackyard_daemon::readiness::Gate;

use crate::args::Args;
use crate::crd_wait::wait_for_crds;
use crate::lease::{LeaderElector, LeaseLost, WriteGate};
use crate::load_report::LoadReports;
use crate::metrics::Metrics as OperatorMetrics;
use crate::watch_health::WatchHealth;
use crate::watches::Watches;
use crate::writer::Writer;
use crate::{builds, keys, pool, version};

/// Threads of the runtime.
const RUNTIME_THREADS: usize = 2;

/// Why the operator cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Logging cannot be set up.
    #[error(transparent)]
    Logs(#[from] logs::Error),
    /// The process cannot be started.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The asynchronous runtime cannot be started.
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
    /// No cluster is configured.
    #[error("cannot reach a cluster: {0}; run it in one, or set KUBECONFIG")]
    Cluster(#[from] Box<kube::Error>),
    /// The lease is lost.
    #[error(transparent)]
    Lease(LeaseLost),
    /// A task that should run until shutdown has ended.
    #[error("the task for {0} has ended; this process exits, so that it is restarted")]
    TaskEnded(&'static str),
}

/// Runs the operator until a signal ends it.
///
/// # Errors
/// If it cannot start, loses the lease, or one of its tasks ends.
pub fn run(args: &Args) -> Result<(), RunError> {
    args.logs.init()?;
    process::block_on(Some(RUNTIME_THREADS), serve(args)).map_err(RunError::Runtime)?
}

async fn serve(args: &Args) -> Result<(), RunError> {
    let mut context = ProcessContext::start("operator", env!("CARGO_PKG_VERSION"), args.admin).await?;
    let readiness = context.readiness;
    let gates = ReadinessGates {
        crds: readiness.gate("crds", "not checked yet"),
        pools: readiness.gate("pools", "waiting for the first lists of pools and their children"),
        versions: readiness.gate("versions", "waiting for the first list of versions"),
    };
    let metrics = OperatorMetrics::register(&mut context.metrics);
    let health = WatchHealth::default();
    context.metrics.register_collector(Box::new(health.clone()));
    let client = health.client(Duration::from_secs(args.watch_seconds.into())).await.map_err(Box::new)?;
    let admin =
        Admin::new(readiness, Metrics::new(context.metrics)).with_liveness_check(move || health.silent());
    tokio::spawn(admin.serve(context.admin, context.stop));
    let has_lease = args.lease_namespace.is_some();
    let gate = if has_lease { WriteGate::closed() } else { WriteGate::always_open() };
    let elector = args.elector(&client, &gate);
    let writer = Writer::new(client.clone(), gate);
    let result = tokio::select! {
        () = context.shutdown.requested.cancelled() => Ok(()),
        error = lead(args, elector.as_ref(), client, writer, gates, metrics) => Err(error),
    };
    // The controllers are dropped, so nothing writes any more.
    if let Some(elector) = elector {
        elector.release().await;
    }
    result
}

/// Waits for the lease, then runs the controllers while it is held. Returns why they ended.
async fn lead(
    args: &Args,
    elector: Option<&LeaderElector>,
    client: Client,
    writer: Writer,
    gates: ReadinessGates,
    metrics: OperatorMetrics,
) -> RunError {
    let Some(elector) = elector else {
        tracing::warn!("running without --lease-namespace: make sure that no second operator runs");
        metrics.on_leading();
        return RunError::TaskEnded(run_controllers(args, client, writer, gates, metrics).await);
    };
    // A standby is ready without any lists: they would be outdated by the time it leads.
    gates.open();
    elector.acquire().await;
    gates.close("waiting for the first lists after the lease was acquired");
    metrics.on_leading();
    tokio::select! {
        task = run_controllers(args, client, writer, gates, metrics) => RunError::TaskEnded(task),
        lost = elector.renew_until_lost() => RunError::Lease(lost),
    }
}

/// Runs all tasks until one ends. Returns its name.
async fn run_controllers(
    args: &Args,
    client: Client,
    writer: Writer,
    gates: ReadinessGates,
    metrics: OperatorMetrics,
) -> &'static str {
    wait_for_crds(&client, &gates.crds).await;
    tracing::info!(namespace = args.namespace, "starting the controllers");
    let (curve, key_task) = keys::maintain(&client, &writer, args.key_secrets());
    let builds = builds::start(args.router_keyed.clone(), curve);
    let (load_reports, load_report_task) = LoadReports::poll(args.router_admin.clone());
    let watches = Watches {
        client,
        namespace: args.namespace.clone(),
        timeout_seconds: args.watch_seconds,
        metrics: metrics.clone(),
    };
    let pools = pool::controller::run(
        &watches,
        args.agent_settings(),
        writer.clone(),
        load_reports.clone(),
        metrics.clone(),
        gates.pools,
    );
    let versions = version::controller::run(&watches, writer, load_reports, builds, metrics, gates.versions);
    tokio::select! {
        () = load_report_task => "the router's load report",
        () = key_task => "keys",
        () = pools => "pools",
        () = versions => "versions",
    }
}

/// The readiness gates that open once the CRDs are served and the first lists are complete.
struct ReadinessGates {
    crds: Gate,
    pools: Gate,
    versions: Gate,
}

impl ReadinessGates {
    fn open(&self) {
        self.crds.open();
        self.pools.open();
        self.versions.open();
    }

    fn close(&self, why: &str) {
        self.crds.close(why);
        self.pools.close(why);
        self.versions.close(why);
    }
}
