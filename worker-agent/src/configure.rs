//! `configure`: asks the router what is deployed, prepares all of it and exits. It takes no job.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use trackyard_protocol::token::Incarnation;
use trackyard_protocol::worker::{FromRouter, FromWorker, Hello, PROTOCOL, TrackVersion, Welcome};

use crate::agent::image_options;
use crate::args::ceilings::Ceilings;
use crate::args::{ConfigureArgs, WorkerArgs};
use crate::bootstrap::{self, Bootstrap, bootstrap};
use crate::sandbox::{self, Entered, Host};
use crate::socket;
use crate::store::{self, Store};
use crate::trust::Trust;
use crate::versions::desired::{DesiredVersions, PrepareFailure, VersionAction};
use crate::versions::prepare::{Preparer, ReadyVersion};

/// Timeout of the router's `Welcome`.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);

/// Why not everything is prepared.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    /// This machine cannot run jobs.
    #[error(transparent)]
    Sandbox(#[from] sandbox::SandboxError),
    /// The work directory cannot be used.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The router does not answer the bootstrap request.
    #[error(transparent)]
    Bootstrap(#[from] bootstrap::BootstrapError),
    /// The socket's thread cannot be started.
    #[error(transparent)]
    Socket(#[from] socket::SocketError),
    /// The router does not send a `Welcome`.
    #[error("{address} did not welcome this worker within {} s; is a router listening there?", WELCOME_TIMEOUT.as_secs())]
    NotWelcome {
        /// The address of the workers' port.
        address: String,
    },
    /// Some versions are not ready; the log says which, and why.
    #[error("{failed} of {desired} container versions are not ready")]
    NotReady {
        /// Number of versions that are not ready.
        failed: usize,
        /// Number of deployed versions.
        desired: usize,
    },
}

/// Prepares everything that is deployed for the worker's channel and topics.
///
/// # Errors
/// If a version is not ready in time, or has failed permanently.
pub async fn configure(args: ConfigureArgs, entered: Entered) -> Result<(), ConfigureError> {
    let host = Host::detect(entered)?;
    let store = Store::open(&args.worker.workdir)?;
    let deadline = Instant::now() + args.timeout.0;
    let worker = args.worker.clone();
    let task = tokio::task::spawn_blocking(move || {
        bootstrap(&worker.router_url, worker.router_workers.as_deref(), &worker.keys)
    });
    let answer = task.await.map_err(|error| bootstrap::BootstrapError::Malformed(error.to_string()))??;
    let welcome = welcome(&args.worker, &answer).await?;
    let dialled = args.worker.router_url.client_address();
    let addresses = [dialled.as_str(), answer.endpoint.address.as_str()];
    let trust = Trust::new(&addresses, args.worker.allowed.clone(), Ceilings::default());
    let source = trust.image_source(&welcome.images).cloned();
    let channel = args.worker.router_url.channel;
    let preparer = Preparer::new(store.clone(), host, channel, image_options(&args.worker.allowed), source);
    let preparation = Preparation {
        versions: DesiredVersions::new(args.worker.router_url.topics.clone()),
        preparer,
        store,
        tasks: JoinSet::new(),
        ready: HashMap::new(),
    };
    preparation.run(&welcome.desired, deadline).await
}

/// Sends a `Hello` that says that this worker drains, so that it gets no job and serves no track, and then leaves.
async fn welcome(worker: &WorkerArgs, answer: &Bootstrap) -> Result<Welcome, ConfigureError> {
    let (mut socket, mut incoming) = socket::start()?;
    socket.open(answer.endpoint.clone());
    let hello = FromWorker::Hello(Box::new(Hello {
        protocol: PROTOCOL,
        name: worker.name.clone(),
        incarnation: Incarnation(rand::random()),
        pool: None,
        channel: worker.router_url.channel,
        topics: worker.router_url.topics.clone(),
        slots: 1,
        versions: Vec::new(),
        jobs: Vec::new(),
        bootstrap: answer.epoch,
        draining: true,
        release: env!("CARGO_PKG_VERSION").to_owned(),
    }));
    socket.send(hello.encode());
    let received = tokio::time::timeout(WELCOME_TIMEOUT, async {
        while let Some(message) = incoming.recv().await {
            let messages = FromRouter::decode_each(&message.frames);
            let welcome = messages.flatten().find_map(|message| match message {
                FromRouter::Welcome(welcome) => Some(*welcome),
                _ => None,
            });
            if welcome.is_some() {
                return welcome;
            }
        }
        None
    });
    let welcome = received.await.ok().flatten();
    socket.send(FromWorker::Goodbye.encode());
    welcome.ok_or_else(|| ConfigureError::NotWelcome { address: answer.endpoint.address.clone() })
}

/// The preparation of all deployed versions.
struct Preparation {
    versions: DesiredVersions,
    preparer: Preparer,
    store: Store,
    tasks: JoinSet<(TrackVersion, Result<ReadyVersion, PrepareFailure>)>,
    /// Held until the end, so that no image is removed.
    ready: HashMap<TrackVersion, Arc<ReadyVersion>>,
}

impl Preparation {
    async fn run(mut self, desired: &[TrackVersion], deadline: Instant) -> Result<(), ConfigureError> {
        let actions = self.versions.set_desired(desired, Instant::now());
        self.execute(actions).await?;
        while !self.versions.is_settled() && Instant::now() < deadline {
            let next = self.versions.next_tick().map_or(deadline, |tick| tick.min(deadline));
            let actions = tokio::select! {
                Some(done) = self.tasks.join_next() => match done {
                    Ok((version, result)) => self.on_prepared(&version, result),
                    Err(error) => { tracing::error!(%error, "a task panicked"); Vec::new() }
                },
                () = tokio::time::sleep_until(next.into()) => self.versions.tick(Instant::now()),
            };
            self.execute(actions).await?;
        }
        let ready = self.versions.ready();
        let desired = self.versions.desired();
        tracing::info!(ready, desired, "configured");
        if ready < desired {
            Err(ConfigureError::NotReady { failed: desired - ready, desired })
        } else {
            Ok(())
        }
    }

    fn on_prepared(
        &mut self,
        version: &TrackVersion,
        result: Result<ReadyVersion, PrepareFailure>,
    ) -> Vec<VersionAction> {
        let TrackVersion { track, version: tag } = version;
        let result = result.map(|ready| {
            tracing::info!(%track, version = %tag, "ready");
            self.ready.insert(version.clone(), Arc::new(ready));
        });
        if let Err(PrepareFailure { reason, message, .. }) = &result {
            tracing::error!(%track, version = %tag, %reason, message, "not ready");
        }
        self.versions.on_prepared(version, result, Instant::now())
    }

    async fn execute(&mut self, actions: Vec<VersionAction>) -> Result<(), ConfigureError> {
        for action in actions {
            match action {
                VersionAction::Prepare(version) => {
                    let preparer = self.preparer.clone();
                    self.tasks.spawn(async move {
                        let result = preparer.prepare(&version).await;
                        (version, result)
                    });
                }
                VersionAction::Collect(keep) => drop(self.store.collect_garbage(&keep).await?),
                VersionAction::Ready(_) | VersionAction::Failed(_) | VersionAction::Gone(_) => {}
            }
        }
        Ok(())
    }
}
