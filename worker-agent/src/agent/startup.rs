//! The start of an agent from the command line: sandbox, canary, store, router, in this order.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::sync::watch;
use trackyard_builder::driver::DriverUnavailable;
use trackyard_builder::fetch::FetchError;
use trackyard_daemon::admin::{self, Admin};
use trackyard_daemon::metrics::Metrics;
use trackyard_daemon::pulse::Pulse;
use trackyard_daemon::readiness::Readiness;
use trackyard_daemon::shutdown::{self, Shutdown};
use trackyard_images::ImageOptions;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::token::Incarnation;

use super::builds::Builds;
use super::tasks::Tasks;
use super::{Agent, Gates, WorkerStatus};
use crate::args::{Allowed, KeyFiles, ListenArgs, RouterUrl, WorkerArgs};
use crate::bootstrap::{self, Bootstrap, bootstrap};
use crate::build::BuildLogs;
use crate::canary::{self, Canary};
use crate::connection::{Connection, Identity, Outgoing, Timing};
use crate::metrics::WorkerMetrics;
use crate::sandbox::{self, Entered, Host, Slot};
use crate::socket;
use crate::store::{self, Store};
use crate::trust::Trust;
use crate::versions::desired::DesiredVersions;

/// Time without an iteration of the loop after which the worker counts as stuck.
const LOOP_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a worker failed to start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// This machine cannot run jobs.
    #[error("{0}")]
    Sandbox(#[from] sandbox::SandboxError),
    /// This machine cannot run jobs any more.
    #[error(transparent)]
    Canary(#[from] canary::CanaryError),
    /// The work directory cannot be used.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The admin port cannot be bound.
    #[error(transparent)]
    Admin(#[from] admin::Error),
    /// The signal handlers cannot be installed.
    #[error(transparent)]
    Shutdown(#[from] shutdown::Error),
    /// The socket's thread cannot be started.
    #[error(transparent)]
    Socket(#[from] socket::SocketError),
    /// The socket's thread has ended, which is a bug.
    #[error("the socket's thread ended by itself")]
    SocketGone,
    /// A job's task panicked, which is a bug. The state of its slot is unknown.
    #[error("the task of a job panicked; its slot is not used again")]
    SlotLost,
    /// A stopped job has not left its slot.
    #[error("a stopped job has not ended for {} s; restart this worker", .0.as_secs())]
    SlotStuck(Duration),
    /// The driver of a builder cannot be used.
    #[error("cannot use the driver: {0}")]
    Driver(#[from] DriverUnavailable),
    /// The cache of repositories cannot be used.
    #[error(transparent)]
    Repositories(#[from] FetchError),
    /// The directories of builds cannot be created.
    #[error("cannot create the directories of builds: {0}")]
    BuildDirs(std::io::Error),
}

/// Asks the router for its workers' port.
#[derive(Clone)]
pub(super) struct BootstrapClient {
    pub(super) url: RouterUrl,
    workers: Option<String>,
    keys: KeyFiles,
}

impl BootstrapClient {
    pub(super) fn new(worker: &WorkerArgs) -> Self {
        let WorkerArgs { router_url, router_workers, keys, .. } = worker.clone();
        Self { url: router_url, workers: router_workers, keys }
    }

    /// Asks until the router answers. Calls `beat` before each request.
    pub(super) async fn bootstrap(&self, beat: impl Fn()) -> Bootstrap {
        let delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(5))
            .with_jitter()
            .without_max_times()
            .build();
        for delay in delays {
            beat();
            match self.try_bootstrap().await {
                Ok(bootstrap) => return bootstrap,
                Err(error) => tracing::warn!(%error, "no configuration from the router yet"),
            }
            tokio::time::sleep(delay).await;
        }
        std::future::pending().await
    }

    async fn try_bootstrap(&self) -> Result<Bootstrap, bootstrap::BootstrapError> {
        let Self { url, workers, keys, .. } = self.clone();
        let answer = tokio::task::spawn_blocking(move || bootstrap(&url, workers.as_deref(), &keys)).await;
        answer.unwrap_or_else(|error| Err(bootstrap::BootstrapError::Malformed(error.to_string())))
    }
}

/// Runs jobs until it is asked to stop, and has drained.
///
/// # Errors
/// When this machine cannot run jobs, the directory or a port cannot be used, or the sandbox breaks.
pub async fn listen(args: ListenArgs, slots: u32, entered: Entered) -> Result<(), AgentError> {
    let shutdown = Shutdown::on_signals()?;
    let readiness = Readiness::default();
    let pulse = Pulse::new(LOOP_TIMEOUT);
    let gates = Gates::new(&readiness);
    let mut registry = Metrics::registry("worker", env!("CARGO_PKG_VERSION"));
    let metrics = WorkerMetrics::register(&mut registry);
    metrics.slots.set(slots.into());
    let identity = identity(&args, slots);
    let (status, shown) = watch::channel(WorkerStatus::new(&identity));
    let build_logs = BuildLogs::default();
    if let Some(address) = args.admin {
        let admin = Admin::new(readiness, Metrics::new(registry))
            .with_pulse(pulse.clone())
            .with_pages(build_logs.pages());
        let admin = admin.with_status(move || {
            let status = serde_json::to_value(&*shown.borrow()).unwrap_or_default();
            std::future::ready(status)
        });
        let listener = Admin::bind(address).await?;
        tokio::spawn(admin.serve(listener, shutdown.hurried.child_token()));
    }
    let host = Host::detect(entered)?;
    let mut room = host.slots()?;
    let canary = try_canary(&args.worker, &mut room).await?;
    gates.sandbox.open();
    let store = Store::open(&args.worker.workdir)?;
    let bootstrap_client = BootstrapClient::new(&args.worker);
    let answer = tokio::select! {
        answer = bootstrap_client.bootstrap(|| pulse.beat()) => answer,
        () = shutdown.requested.cancelled() => return Ok(()),
    };
    let trust = trust(&args, &answer);
    let builds = builds(&args, slots, &trust).await?;
    let (handle, incoming) = socket::start()?;
    let timing = Timing { drain: args.drain_timeout.0, ..Timing::default() };
    let topics = identity.topics.clone();
    let agent = Agent {
        connection: Connection::new(identity, timing, answer.epoch, rand::random(), Instant::now()),
        versions: DesiredVersions::new(topics),
        socket: handle,
        outgoing: Outgoing::default(),
        generation: 0,
        trust,
        bootstrap: answer,
        bootstrap_client,
        host,
        store,
        images: image_options(&args.worker.allowed),
        preparer: None,
        inputs: None,
        ready: HashMap::new(),
        unwanted: Vec::new(),
        slots: room,
        builds,
        build_logs,
        running: HashMap::new(),
        canary,
        tasks: Tasks::default(),
        gates,
        metrics,
        pulse,
        status,
        fault: None,
        has_left: false,
        versions_settled: false,
    };
    agent.run(incoming, shutdown).await
}

async fn builds(args: &ListenArgs, slots: u32, trust: &Trust) -> Result<Option<Builds>, AgentError> {
    if args.worker.router_url.channel != Channel::Builders {
        return Ok(None);
    }
    let WorkerArgs { workdir, allowed, .. } = &args.worker;
    Builds::open(workdir, slots, &args.builder, allowed, trust).await.map(Some)
}

impl Gates {
    fn new(readiness: &Readiness) -> Self {
        let serving = readiness.gate("serving", "");
        serving.open();
        Self {
            sandbox: readiness.gate("sandbox", "the known good job has not run yet"),
            router: readiness.gate("router", "no router has sent a Welcome yet"),
            versions: readiness.gate("versions", "not all deployed versions are prepared yet"),
            serving,
        }
    }
}

fn identity(args: &ListenArgs, slots: u32) -> Identity {
    Identity {
        name: args.worker.name.clone(),
        incarnation: Incarnation(rand::random()),
        pool: args.pool.clone(),
        channel: args.worker.router_url.channel,
        topics: args.worker.router_url.topics.clone(),
        slots,
        release: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

async fn try_canary(worker: &WorkerArgs, slots: &mut [Slot]) -> Result<Option<Canary>, canary::CanaryError> {
    let canary = Canary::make(&worker.workdir)?;
    match (&canary, slots.first_mut()) {
        (Some(canary), Some(slot)) => canary.run(slot).await?,
        _ => tracing::warn!("there is no known good job for this architecture; the sandbox is not checked"),
    }
    Ok(canary)
}

fn trust(args: &ListenArgs, bootstrap: &Bootstrap) -> Trust {
    let dialled = args.worker.router_url.client_address();
    let addresses = [dialled.as_str(), bootstrap.endpoint.address.as_str()];
    let trust = Trust::new(&addresses, args.worker.allowed.clone(), args.ceilings.clone());
    if !trust.router_is_trusted() {
        tracing::info!("the router is not on loopback: only what this worker's flags allow is read");
    }
    trust
}

pub(crate) fn image_options(allowed: &Allowed) -> ImageOptions {
    ImageOptions {
        docker_config: allowed.docker_config.clone(),
        ca_file: allowed.ca_file.clone(),
        ecr_endpoint: allowed.ecr_endpoint.clone(),
        ..ImageOptions::default()
    }
}
