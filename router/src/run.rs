//! Puts the parts together: those with the process's lifetime, and those that a restart of the router creates again.

mod instance;
mod pools;
mod status;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;
use trackyard_daemon::admin::Admin;
use trackyard_daemon::metrics::Metrics;
use trackyard_daemon::process::{self, ProcessContext, ProcessError};
use trackyard_daemon::pulse::Pulse;
use trackyard_daemon::readiness::{Gate, Readiness};
use trackyard_daemon::{descriptors, logs};
use trackyard_images::ImageOptions;

use crate::args::Args;
use crate::config::{Config, ConfigError, ConfigFile, LiveConfig};
use crate::keyring::{Keyring, KeyringError};
use crate::metrics::RouterMetrics;
use crate::reload;
use crate::service::Exit;
use crate::socket;
use crate::versions::{Catalogue, VersionStore, pin_versions};
use instance::Endpoints;
use status::Status;
use versions::Versions;

/// Threads of the runtime. The service has a thread of its own.
const RUNTIME_THREADS: usize = 2;
/// Time without an iteration of the service after which it is stuck.
const PULSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why the router cannot start, or has failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The logs cannot be set up.
    #[error(transparent)]
    Logs(#[from] logs::Error),
    /// The configuration cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The keys cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyringError),
    /// There is no client for the cluster.
    #[cfg(feature = "cluster")]
    #[error(transparent)]
    Cluster(#[from] crate::cluster::ConnectError),
    /// The program cannot watch a cluster.
    #[cfg(not(feature = "cluster"))]
    #[error(
        "this router was built without the feature `cluster`, which --namespace needs; \
         build it with `cargo build -p trackyard-router`, or leave --namespace out"
    )]
    NoClusterSupport,
    /// The ports cannot be opened.
    #[error(transparent)]
    Socket(#[from] socket::SocketError),
    /// The process cannot be started.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The runtime cannot be started.
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
    /// The serving thread has panicked.
    #[error("the serving thread failed; the log says why")]
    Service,
}

/// The parts with the process's lifetime.
struct Process {
    args: Args,
    keyring: Option<Keyring>,
    live: Arc<LiveConfig>,
    configs: Receiver<Arc<Config>>,
    catalogue: Arc<Catalogue>,
    store: Arc<dyn VersionStore>,
    metrics: RouterMetrics,
    status: Arc<Status>,
    sockets: Gate,
    recovery: Gate,
    pulse: Pulse,
    /// Maximum number of connections of a port.
    max_connections: usize,
}

/// Runs the router until a signal stops it.
///
/// # Errors
/// If it cannot start, or a part of it fails.
pub fn run(args: &Args) -> Result<(), Error> {
    args.logs.init()?;
    process::block_on(Some(RUNTIME_THREADS), serve(args)).map_err(Error::Runtime)?
}

async fn serve(args: &Args) -> Result<(), Error> {
    let mut context = ProcessContext::start("router", env!("CARGO_PKG_VERSION"), args.admin).await?;
    let config = context.readiness.gate("config", "not read yet");
    let metrics = RouterMetrics::register(&mut context.metrics);
    let live = Arc::new(LiveConfig::start(ConfigFile::open(&args.config, args.seed.as_deref())?)?);
    config.open();
    let keyring = args.key.as_deref().zip(args.allowed.as_deref());
    let keyring = keyring.map(|(own, list)| Keyring::open(own, list)).transpose()?;
    let versions = Versions::new(args, Arc::clone(&live), &context.readiness, &context.stop).await?;
    let process = Process::new(args, keyring, live, versions, metrics, &context.readiness);
    let admin =
        Admin::new(context.readiness, Metrics::new(context.metrics)).with_pulse(process.pulse.clone());
    let admin = process.status.add_to(admin).with_pages(pools::page(Arc::clone(&process.status)));
    tokio::spawn(admin.serve(context.admin, context.stop.clone()));
    process.start_watching(&context.stop);
    let mut endpoints = Endpoints::from_args(args);
    loop {
        let (exit, bound) = process.serve_once(&endpoints, &context.shutdown).await?;
        match exit {
            Exit::Stop => return Ok(()),
            Exit::Restart => endpoints = bound,
        }
        tracing::info!("restarting");
    }
}

impl Process {
    fn new(
        args: &Args,
        keyring: Option<Keyring>,
        live: Arc<LiveConfig>,
        versions: Versions,
        metrics: RouterMetrics,
        readiness: &Readiness,
    ) -> Self {
        let options = ImageOptions {
            docker_config: args.docker_config.clone(),
            ca_file: args.ca_file.clone(),
            ecr_endpoint: args.ecr_endpoint.clone(),
            ..ImageOptions::default()
        };
        Self {
            args: args.clone(),
            keyring,
            catalogue: Arc::new(Catalogue::new(options)),
            status: Arc::new(Status::new(Arc::clone(&live), versions.configs.clone(), readiness.clone())),
            store: versions.store,
            configs: versions.configs,
            live,
            metrics,
            sockets: readiness.gate("sockets", "not bound yet"),
            recovery: readiness.gate("recovery", "waiting for workers to report what they hold"),
            pulse: Pulse::new(PULSE_TIMEOUT),
            max_connections: socket::max_connections(descriptors::raise()),
        }
    }

    /// Watches the files, and looks up the digests of versions without one.
    fn start_watching(&self, stop: &CancellationToken) {
        let live = Arc::clone(&self.live);
        let metrics = self.metrics.clone();
        tokio::spawn(reload::watch(
            stop.clone(),
            move || live.reload_if_changed(),
            move |outcome| metrics.config_edited(outcome),
        ));
        if let Some(keyring) = self.keyring.clone() {
            let metrics = self.metrics.clone();
            tokio::spawn(reload::watch(
                stop.clone(),
                move || keyring.reload_if_changed(),
                move |outcome| metrics.allowed_edited(outcome),
            ));
        }
        let catalogue = Arc::clone(&self.catalogue);
        let store = Arc::clone(&self.store);
        tokio::spawn(pin_versions(self.configs.clone(), catalogue, store, stop.clone()));
    }
}
