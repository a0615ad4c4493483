//! From the command line to a working agent: sandbox, canary, store, router, in this order.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::sync::watch;
use trackyard_builder::driver::DriverUnavailable;
use trackyard_builder::fetch::FetchError;
use trackyard_daemon::admin::{self, Admin};
use trackyard_daemon::metrics::Metrics as AllMetrics;
use trackyard_daemon::pulse::Pulse;
use trackyard_daemon::readiness::Readiness;
use trackyard_daemon::shutdown::{self, Shutdown};
use trackyard_images::ImageOptions;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::token::Incarnation;

use super::builds::Builds;
use super::tasks::Tasks;
use super::{Agent, Gates, Status};
use crate::args::{Allowed, KeyFiles, Listen, Place, RouterUrl};
use crate::bootstrap::{self, Bootstrap, bootstrap};
use crate::build::Shelf;
use crate::canary::{self, Canary};
use crate::connection::{Connection, Identity, Outgoing, Timing};
use crate::metrics::Metrics;
use crate::sandbox::{self, Entered, Host, Slot};
use crate::socket;
use crate::store::{self, Store};
use crate::trust::Trust;
use crate::versions::desired::Versions;

/// How long the loop may stand still before the worker counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a worker ended, or never began.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This machine cannot run jobs.
    #[error("{0}")]
    Sandbox(#[from] sandbox::SandboxError),
    /// It could, and cannot any more.
    #[error(transparent)]
    Canary(#[from] canary::CanaryError),
    /// The work directory cannot be used.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The admin port cannot be bound.
    #[error(transparent)]
    Admin(#[from] admin::Error),
    /// Signals cannot be heard.
    #[error(transparent)]
    Shutdown(#[from] shutdown::Error),
    /// There is no socket.
    #[error(transparent)]
    Socket(#[from] socket::Error),
    /// The socket's thread is gone, which is a bug.
    #[error("the socket's thread ended by itself")]
    SocketGone,
    /// A job's task broke, which is a bug; its slot cannot be trusted.
    #[error("the task of a job broke; its slot is not used again")]
    SlotLost,
    /// A job was stopped, and has not ended; its slot cannot be used.
    #[error("a job that was stopped has not ended for {} s; this worker must be started again", .0.as_secs())]
    SlotStuck(Duration),
    /// The driver of a builder cannot be used.
    #[error("the driver cannot be used: {0}")]
    Driver(#[from] DriverUnavailable),
    /// The cache of repositories cannot be used.
    #[error(transparent)]
    Repositories(#[from] FetchError),
    /// The directories of builds cannot be made.
    #[error("cannot make the directories of builds: {0}")]
    Bench(std::io::Error),
}

/// Asks the router for its workers' port until it answers.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) url: RouterUrl,
    workers: Option<String>,
    keys: KeyFiles,
}

impl Asker {
    pub(super) fn new(place: &Place) -> Self {
        let Place { router_url, router_workers, keys, .. } = place.clone();
        Self { url: router_url, workers: router_workers, keys }
    }

    /// Never gives up; whoever waits may. Before each question `beat` is called.
    pub(super) async fn ask(&self, beat: impl Fn()) -> Bootstrap {
        let waits = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(5))
            .with_jitter()
            .without_max_times()
            .build();
        for wait in waits {
            beat();
            match self.ask_once().await {
                Ok(bootstrap) => return bootstrap,
                Err(error) => tracing::warn!(%error, "no configuration from the router yet"),
            }
            tokio::time::sleep(wait).await;
        }
        std::future::pending().await
    }

    async fn ask_once(&self) -> Result<Bootstrap, bootstrap::Error> {
        let Self { url, workers, keys, .. } = self.clone();
        let asked = tokio::task::spawn_blocking(move || bootstrap(&url, workers.as_deref(), &keys)).await;
        asked.unwrap_or_else(|error| Err(bootstrap::Error::Malformed(error.to_string())))
    }
}

/// Runs jobs until it is asked to stop, and has drained.
///
/// # Errors
/// When this machine cannot run jobs, the directory or a port cannot be used, or the sandbox breaks.
pub async fn listen(args: Listen, slots: u32, entered: Entered) -> Result<(), Error> {
    let shutdown = Shutdown::on_signals()?;
    let (readiness, pulse) = (Readiness::default(), Pulse::new(PATIENCE));
    let gates = Gates::new(&readiness);
    let mut registry = AllMetrics::registry("worker", env!("CARGO_PKG_VERSION"));
    let metrics = Metrics::register(&mut registry);
    metrics.slots.set(slots.into());
    let identity = identity(&args, slots);
    let (status, shown) = watch::channel(Status::new(&identity));
    let shelf = Shelf::default();
    if let Some(address) = args.admin {
        let admin = Admin::new(readiness, AllMetrics::new(registry))
            .with_pulse(pulse.clone())
            .with_pages(shelf.pages());
        let admin = admin.with_status(move || {
            let status = serde_json::to_value(&*shown.borrow()).unwrap_or_default();
            std::future::ready(status)
        });
        let listener = Admin::bind(address).await?;
        tokio::spawn(admin.serve(listener, shutdown.hurried.child_token()));
    }
    let host = Host::detect(entered)?;
    let mut room = host.slots()?;
    let canary = try_canary(&args.place, &mut room).await?;
    gates.sandbox.open();
    let store = Store::open(&args.place.workdir)?;
    let asker = Asker::new(&args.place);
    let answer = tokio::select! {
        answer = asker.ask(|| pulse.beat()) => answer,
        () = shutdown.requested.cancelled() => return Ok(()),
    };
    let trust = trust(&args, &answer);
    let builds = builds(&args, slots, &trust).await?;
    let (handle, incoming) = socket::start()?;
    let timing = Timing { drain: args.drain_timeout.0, ..Timing::default() };
    let topics = identity.topics.clone();
    let agent = Agent {
        connection: Connection::new(identity, timing, answer.epoch, rand::random(), Instant::now()),
        versions: Versions::new(topics),
        socket: handle,
        outgoing: Outgoing::default(),
        generation: 0,
        trust,
        bootstrap: answer,
        asker,
        host,
        store,
        images: image_options(&args.place.allowed),
        preparer: None,
        inputs: None,
        ready: HashMap::new(),
        gone: Vec::new(),
        slots: room,
        builds,
        shelf,
        running: HashMap::new(),
        canary,
        tasks: Tasks::default(),
        gates,
        metrics,
        pulse,
        status,
        fault: None,
        leaving: false,
        settled: false,
    };
    agent.run(incoming, shutdown).await
}

async fn builds(args: &Listen, slots: u32, trust: &Trust) -> Result<Option<Builds>, Error> {
    if args.place.router_url.channel != Channel::Builders {
        return Ok(None);
    }
    let Place { workdir, allowed, .. } = &args.place;
    Builds::open(workdir, slots, &args.builder, allowed, trust).await.map(Some)
}

impl Gates {
    fn new(readiness: &Readiness) -> Self {
        let serving = readiness.gate("serving", "");
        serving.open();
        Self {
            sandbox: readiness.gate("sandbox", "a known good job was not run yet"),
            router: readiness.gate("router", "no Welcome came from a router yet"),
            versions: readiness.gate("versions", "not every deployed version was prepared yet"),
            serving,
        }
    }
}

fn identity(args: &Listen, slots: u32) -> Identity {
    Identity {
        name: args.place.name.clone(),
        incarnation: Incarnation(rand::random()),
        pool: args.pool.clone(),
        channel: args.place.router_url.channel,
        topics: args.place.router_url.topics.clone(),
        slots,
        release: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

async fn try_canary(place: &Place, slots: &mut [Slot]) -> Result<Option<Canary>, canary::CanaryError> {
    let canary = Canary::make(&place.workdir)?;
    match (&canary, slots.first_mut()) {
        (Some(canary), Some(slot)) => canary.run(slot).await?,
        _ => tracing::warn!("there is no known good job for this architecture; the first real one will tell"),
    }
    Ok(canary)
}

fn trust(args: &Listen, bootstrap: &Bootstrap) -> Trust {
    let dialled = args.place.router_url.client_address();
    let addresses = [dialled.as_str(), bootstrap.peer.address.as_str()];
    let trust = Trust::new(&addresses, args.place.allowed.clone(), args.ceilings.clone());
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
