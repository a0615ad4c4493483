//! `configure`: asks the router what is deployed, prepares all of it, and exits. No job is taken.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use trackyard_protocol::token::Incarnation;
use trackyard_protocol::worker::{FromRouter, FromWorker, Hello, PROTOCOL, TrackVersion, Welcome};

use crate::agent::image_options;
use crate::args::ceilings::Ceilings;
use crate::args::{Configure, Place};
use crate::bootstrap::{self, Bootstrap, bootstrap};
use crate::sandbox::{self, Entered, Host};
use crate::socket;
use crate::store::{self, Store};
use crate::trust::Trust;
use crate::versions::desired::{Action, Failure, Versions};
use crate::versions::prepare::{Preparer, Ready};

/// How long the router may take to say `Welcome`.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why not everything is prepared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This machine cannot run jobs.
    #[error(transparent)]
    Sandbox(#[from] sandbox::SandboxError),
    /// The work directory cannot be used.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The router does not tell where to go.
    #[error(transparent)]
    Bootstrap(#[from] bootstrap::Error),
    /// There is no socket.
    #[error(transparent)]
    Socket(#[from] socket::Error),
    /// The router does not tell what is deployed.
    #[error("{address} did not welcome this worker within {} s; is a router listening there?", PATIENCE.as_secs())]
    NotWelcome {
        /// The workers' port.
        address: String,
    },
    /// Some versions are not ready; the log says which, and why.
    #[error("{failed} of {wanted} container versions are not ready")]
    NotReady {
        /// How many are not.
        failed: usize,
        /// How many are deployed.
        wanted: usize,
    },
}

/// Prepares everything that is deployed for the worker's channel and topics.
///
/// # Errors
/// When a version is not ready in time, or has failed for good.
pub async fn configure(args: Configure, entered: Entered) -> Result<(), Error> {
    let host = Host::detect(entered)?;
    let store = Store::open(&args.place.workdir)?;
    let deadline = Instant::now() + args.timeout.0;
    let place = args.place.clone();
    let asked = tokio::task::spawn_blocking(move || {
        bootstrap(&place.router_url, place.router_workers.as_deref(), &place.keys)
    });
    let answer = asked.await.map_err(|error| bootstrap::Error::Malformed(error.to_string()))??;
    let welcome = welcome(&args.place, &answer).await?;
    let dialled = args.place.router_url.client_address();
    let addresses = [dialled.as_str(), answer.peer.address.as_str()];
    let trust = Trust::new(&addresses, args.place.allowed.clone(), Ceilings::default());
    let source = trust.images(&welcome.images).cloned();
    let channel = args.place.router_url.channel;
    let preparer = Preparer::new(store.clone(), host, channel, image_options(&args.place.allowed), source);
    let work = Work {
        versions: Versions::new(args.place.router_url.topics.clone()),
        preparer,
        store,
        tasks: JoinSet::new(),
        ready: HashMap::new(),
    };
    work.run(&welcome.desired, deadline).await
}

/// Says `Hello` as one that drains, so that no job is sent and no track counts as served, and leaves again.
async fn welcome(place: &Place, answer: &Bootstrap) -> Result<Welcome, Error> {
    let (mut socket, mut incoming) = socket::start()?;
    socket.open(answer.peer.clone());
    let hello = FromWorker::Hello(Box::new(Hello {
        protocol: PROTOCOL,
        name: place.name.clone(),
        incarnation: Incarnation(rand::random()),
        pool: None,
        channel: place.router_url.channel,
        topics: place.router_url.topics.clone(),
        slots: 1,
        versions: Vec::new(),
        jobs: Vec::new(),
        bootstrap: answer.epoch,
        draining: true,
        release: env!("CARGO_PKG_VERSION").to_owned(),
    }));
    socket.send(hello.encode());
    let heard = tokio::time::timeout(PATIENCE, async {
        while let Some(message) = incoming.recv().await {
            let words = FromRouter::decode_each(&message.frames);
            let welcome = words.flatten().find_map(|word| match word {
                FromRouter::Welcome(welcome) => Some(*welcome),
                _ => None,
            });
            if welcome.is_some() {
                return welcome;
            }
        }
        None
    });
    let welcome = heard.await.ok().flatten();
    socket.send(FromWorker::Goodbye.encode());
    welcome.ok_or_else(|| Error::NotWelcome { address: answer.peer.address.clone() })
}

/// What is being prepared.
struct Work {
    versions: Versions,
    preparer: Preparer,
    store: Store,
    tasks: JoinSet<(TrackVersion, Result<Ready, Failure>)>,
    /// Held until the end, so that nothing of it is removed.
    ready: HashMap<TrackVersion, Arc<Ready>>,
}

impl Work {
    async fn run(mut self, desired: &[TrackVersion], deadline: Instant) -> Result<(), Error> {
        let actions = self.versions.desire(desired, Instant::now());
        self.act(actions).await?;
        while !self.versions.is_settled() && Instant::now() < deadline {
            let next = self.versions.next_tick().map_or(deadline, |tick| tick.min(deadline));
            let actions = tokio::select! {
                Some(done) = self.tasks.join_next() => match done {
                    Ok((version, result)) => self.end(&version, result),
                    Err(error) => { tracing::error!(%error, "a task broke"); Vec::new() }
                },
                () = tokio::time::sleep_until(next.into()) => self.versions.tick(Instant::now()),
            };
            self.act(actions).await?;
        }
        let (ready, wanted) = (self.versions.ready(), self.versions.wanted());
        tracing::info!(ready, wanted, "configured");
        if ready < wanted { Err(Error::NotReady { failed: wanted - ready, wanted }) } else { Ok(()) }
    }

    fn end(&mut self, version: &TrackVersion, result: Result<Ready, Failure>) -> Vec<Action> {
        let (track, tag) = (&version.track, &version.version);
        let result = result.map(|ready| {
            tracing::info!(%track, version = %tag, "ready");
            self.ready.insert(version.clone(), Arc::new(ready));
        });
        if let Err(Failure { reason, message, .. }) = &result {
            tracing::error!(%track, version = %tag, %reason, message, "not ready");
        }
        self.versions.prepared(version, result, Instant::now())
    }

    async fn act(&mut self, actions: Vec<Action>) -> Result<(), Error> {
        for action in actions {
            match action {
                Action::Prepare(version) => {
                    let preparer = self.preparer.clone();
                    self.tasks.spawn(async move {
                        let result = preparer.prepare(&version).await;
                        (version, result)
                    });
                }
                Action::Collect(keep) => drop(self.store.collect_garbage(&keep).await?),
                Action::Ready(_) | Action::Failed(_) | Action::Gone(_) => {}
            }
        }
        Ok(())
    }
}
