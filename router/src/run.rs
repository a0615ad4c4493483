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
use trackyard_daemon::pulse::Pulse;
use trackyard_daemon::readiness::{Gate, Readiness};
use trackyard_daemon::shutdown::{self, Shutdown};
use trackyard_daemon::{admin, descriptors, logs};
use trackyard_images::ImageOptions;

use crate::args::Args;
use crate::config::{Config, ConfigError, ConfigFile, LiveConfig, watch};
use crate::keyring::{Keyring, KeyringError};
use crate::metrics::RouterMetrics;
use crate::service::Exit;
use crate::socket;
use crate::versions::{Catalogue, VersionStore, pin_versions};
use instance::Endpoints;
use status::Status;
use versions::Versions;

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
    /// The admin port cannot be opened.
    #[error(transparent)]
    Admin(#[from] admin::Error),
    /// Signals cannot be handled.
    #[error(transparent)]
    Shutdown(#[from] shutdown::Error),
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
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let result = runtime.block_on(serve(args));
    // A background task may still wait for a registry.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn serve(args: &Args) -> Result<(), Error> {
    let shutdown = Shutdown::on_signals()?;
    let stop = CancellationToken::new();
    let _stop_all = stop.clone().drop_guard();
    let readiness = Readiness::default();
    let config = readiness.gate("config", "not read yet");
    let listener = Admin::bind(args.admin).await?;
    tracing::info!(
        address = listener.local_addr().ok().map(tracing::field::display),
        "the admin port is open"
    );
    let mut registry = Metrics::registry("router", env!("CARGO_PKG_VERSION"));
    let metrics = RouterMetrics::register(&mut registry);
    let live = Arc::new(LiveConfig::start(ConfigFile::open(&args.config, args.seed.as_deref())?)?);
    config.open();
    let keyring = args.key.as_deref().zip(args.allowed.as_deref());
    let keyring = keyring.map(|(own, list)| Keyring::open(own, list)).transpose()?;
    let versions = Versions::new(args, Arc::clone(&live), &readiness, &stop).await?;
    let process = Process::new(args, keyring, live, versions, metrics, &readiness);
    let admin = Admin::new(readiness, Metrics::new(registry)).with_pulse(process.pulse.clone());
    let admin = process.status.add_to(admin).with_pages(pools::page(Arc::clone(&process.status)));
    tokio::spawn(admin.serve(listener, stop.clone()));
    process.start_watching(&stop);
    let mut endpoints = Endpoints::from_args(args);
    loop {
        let (exit, bound) = process.serve_once(&endpoints, &shutdown).await?;
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
        let metrics = self.metrics.clone();
        tokio::spawn(watch(Arc::clone(&self.live), stop.clone(), move |outcome| {
            metrics.config_edited(outcome);
        }));
        if let Some(keyring) = self.keyring.clone() {
            let metrics = self.metrics.clone();
            tokio::spawn(keyring.watch(stop.clone(), move |outcome| metrics.allowed_edited(outcome)));
        }
        let catalogue = Arc::clone(&self.catalogue);
        let store = Arc::clone(&self.store);
        tokio::spawn(pin_versions(self.configs.clone(), catalogue, store, stop.clone()));
    }
}
