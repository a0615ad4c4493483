//! One life of the router: sockets, dispatcher and epoch, from binding to the last answer.

use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use trackyard_daemon::shutdown::Shutdown;
use trackyard_protocol::allowed::Right;
use trackyard_protocol::keys::{KeyPair, PublicKey};

use super::{Error, Process};
use crate::args::Args;
use crate::clerk::Clerk;
use crate::keyring::Keyring;
use crate::service::{self, Command, Exit, Handle, Parts, Service};
use crate::socket::{self, Closed, Gatekeeper, Monitor, Port, PortKind, Ports, Waker};

/// Errands that may wait for the clerk.
const MAX_ERRANDS: usize = 256;

/// Where the sockets are, or shall be, bound.
#[derive(Debug, Clone)]
pub(super) struct Endpoints {
    pub(super) clients: String,
    pub(super) workers: String,
    pub(super) keyed_clients: Option<String>,
}

impl Endpoints {
    pub(super) fn of(args: &Args) -> Self {
        let open = [("--clients", &args.clients, false), ("--workers", &args.workers, args.key.is_some())];
        for (flag, endpoint, is_keyed) in open {
            if !endpoint.is_loopback() && !is_keyed {
                tracing::warn!(%endpoint, "{flag} is open to other machines: guard it by network policy");
            }
        }
        Self {
            clients: args.clients.to_string(),
            workers: args.workers.to_string(),
            keyed_clients: args.keyed_clients.as_ref().map(ToString::to_string),
        }
    }

    fn bound(ports: &Ports) -> Self {
        let endpoint = |port: &Port| port.endpoint().to_owned();
        Self {
            clients: endpoint(&ports.clients),
            workers: endpoint(&ports.workers),
            keyed_clients: ports.keyed_clients.as_ref().map(endpoint),
        }
    }
}

impl Process {
    /// Binds, serves, and closes. Gives where it was bound, so that a restart takes the same ports.
    pub(super) async fn live_once(
        &self,
        endpoints: &Endpoints,
        shutdown: &Shutdown,
    ) -> Result<(Exit, Endpoints), Error> {
        let context = socket::Context::new();
        let gatekeeper = self.gatekeeper(&context)?;
        let ports = bind(&context, endpoints, self.keyring.as_ref().map(Keyring::own))?;
        let bound = Endpoints::bound(&ports);
        let (handle, commands) = service::channel(ports.waker.clone());
        let monitor = self.monitor(&context, &ports, &handle)?;
        let (errands, inbox) = mpsc::channel(MAX_ERRANDS);
        let parts = Parts {
            ports,
            commands,
            errands,
            config: self.configs.borrow().clone(),
            force_worker_restart: self.args.force_worker_restart,
            keyring: self.keyring.clone(),
            plain_peers: self.args.plain_peers(),
            memory: self.args.memory.map_or_else(service::available_memory, |memory| memory.0),
            drain_timeout: self.args.drain_timeout.0,
            metrics: self.metrics.clone(),
            recovery: self.recovery.clone(),
            pulse: self.pulse.clone(),
        };
        self.recovery.close("waiting for workers to report what they hold");
        let ended = start(parts)?;
        self.sockets.open();
        self.status.serve(Some((handle.clone(), bound.clone())));
        tokio::spawn(self.clerk().work(inbox, handle.clone()));
        let helpers = self.help(&handle, shutdown);
        let exit = ended.await;
        helpers.cancel();
        self.status.serve(None);
        self.sockets.close("closed");
        monitor.join();
        drop(gatekeeper);
        // Waits until the ports are free again and the last answers have left, within the sockets' linger.
        tokio::task::spawn_blocking(move || drop(context)).await.map_err(|_| Error::Service)?;
        Ok((exit.map_err(|_| Error::Service)?, bound))
    }

    fn monitor(&self, context: &socket::Context, ports: &Ports, handle: &Handle) -> Result<Monitor, Error> {
        let (metrics, handle) = (self.metrics.clone(), handle.clone());
        Ok(Monitor::start(context, ports, self.most_connections, move |port, by| {
            metrics.closed(port, by);
            if by == Closed::Oversize {
                tracing::warn!(port = <&str>::from(port), "closed a connection: a frame of more than 4Mi");
            }
            if port == PortKind::Workers {
                handle.send(Command::Suspect);
            }
        })?)
    }

    fn gatekeeper(&self, context: &socket::Context) -> Result<Option<Gatekeeper>, Error> {
        let Some(keyring) = self.keyring.clone() else { return Ok(None) };
        let metrics = self.metrics.clone();
        let admits = move |port, key: &PublicKey| {
            let rights: &[Right] = match port {
                PortKind::Workers => &[Right::Work],
                PortKind::Clients | PortKind::KeyedClients => &[Right::Submit, Right::Administer],
            };
            let admitted = rights.iter().any(|right| keyring.may(key.as_str(), *right));
            if !admitted {
                metrics.refused_key(port);
            }
            admitted
        };
        Ok(Some(Gatekeeper::start(context, admits)?))
    }

    fn clerk(&self) -> Clerk {
        Clerk {
            live: Arc::clone(&self.live),
            catalogue: Arc::clone(&self.catalogue),
            store: Arc::clone(&self.store),
        }
    }

    /// Tells the service of new configurations and of signals.
    fn help(&self, handle: &Handle, shutdown: &Shutdown) -> CancellationToken {
        let stop = CancellationToken::new();
        let mut configs = self.configs.clone();
        // What changed since the service took its configuration is sent once more: it does no harm.
        configs.mark_changed();
        let service = handle.clone();
        let follow = async move {
            while configs.changed().await.is_ok() {
                let config = configs.borrow_and_update().clone();
                service.send(Command::Config(config));
            }
        };
        let (service, shutdown) = (handle.clone(), shutdown.clone());
        let obey = async move {
            shutdown.requested.cancelled().await;
            service.send(Command::Drain);
            shutdown.hurried.cancelled().await;
            service.send(Command::Leave);
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(follow));
        tokio::spawn(stop.clone().run_until_cancelled_owned(obey));
        stop
    }
}

/// With a key, workers must have one; for clients without one there is a port of their own.
fn bind(context: &socket::Context, endpoints: &Endpoints, key: Option<&KeyPair>) -> Result<Ports, Error> {
    let clients = Port::bind(context, PortKind::Clients, &endpoints.clients, None)?;
    let keyed = endpoints.keyed_clients.as_ref();
    let keyed_clients =
        keyed.map(|endpoint| Port::bind(context, PortKind::KeyedClients, endpoint, key)).transpose()?;
    let workers = Port::bind(context, PortKind::Workers, &endpoints.workers, key)?;
    let waker = Waker::new().map_err(socket::Error::from)?;
    Ok(Ports { clients, keyed_clients, workers, waker })
}

/// Starts the serving thread; gives its end.
fn start(parts: Parts) -> Result<oneshot::Receiver<Exit>, Error> {
    let (sender, ended) = oneshot::channel();
    let run = move || {
        let exit = Service::new(parts).run();
        // Only a router that has failed does not listen.
        let _ = sender.send(exit);
    };
    thread::Builder::new().name("router".to_owned()).spawn(run).map_err(socket::Error::Thread)?;
    Ok(ended)
}
