//! One life of the router: sockets, dispatcher and epoch, from binding to the last answer.

use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use trackyard_daemon::shutdown::Shutdown;
use trackyard_protocol::allowed::Right;
use trackyard_protocol::keys::PublicKey;

use super::{Error, Process};
use crate::args::{Args, Endpoint};
use crate::clerk::Clerk;
use crate::keyring::Keyring;
use crate::service::{self, Command, Exit, Handle, Parts, Service};
use crate::socket::{self, Admits, Bounds, Port, PortKind, Ports};

/// Errands that may wait for a clerk.
const MAX_ERRANDS: usize = 256;

/// Where the sockets are, or shall be, bound.
#[derive(Debug, Clone)]
pub(super) struct Endpoints {
    pub(super) clients: Endpoint,
    pub(super) workers: Endpoint,
    pub(super) keyed_clients: Option<Endpoint>,
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
            clients: args.clients.clone(),
            workers: args.workers.clone(),
            keyed_clients: args.keyed_clients.clone(),
        }
    }

    /// With the ports that were taken.
    fn bound(&self, ports: &Ports) -> Self {
        let endpoint = |kind| ports.of(kind).map(|port| port.endpoint().clone());
        Self {
            clients: endpoint(PortKind::Clients).unwrap_or_else(|| self.clients.clone()),
            workers: endpoint(PortKind::Workers).unwrap_or_else(|| self.workers.clone()),
            keyed_clients: endpoint(PortKind::KeyedClients),
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
        let memory = self.args.memory.map_or_else(service::available_memory, |memory| memory.0);
        let ports = self.bind(endpoints, memory)?;
        let bound = endpoints.bound(&ports);
        let (handle, commands) = service::channel(ports.waker().clone());
        let (changes, changes_inbox) = mpsc::channel(MAX_ERRANDS);
        let (lookups, lookups_inbox) = mpsc::channel(MAX_ERRANDS);
        let parts = Parts {
            workers_port: bound.workers.port().unwrap_or_default(),
            commands,
            changes,
            lookups,
            config: self.configs.borrow().clone(),
            force_worker_restart: self.args.force_worker_restart,
            keyring: self.keyring.clone(),
            plain_peers: self.args.plain_peers(),
            memory,
            drain_timeout: self.args.drain_timeout.0,
            metrics: self.metrics.clone(),
            recovery: self.recovery.clone(),
            pulse: self.pulse.clone(),
        };
        self.recovery.close("waiting for workers to report what they hold");
        let ended = start(parts, ports)?;
        self.sockets.open();
        self.status.serve(Some((handle.clone(), bound.clone())));
        for inbox in [changes_inbox, lookups_inbox] {
            tokio::spawn(self.clerk().work(inbox, handle.clone()));
        }
        let helpers = self.help(&handle, shutdown);
        let exit = ended.await;
        helpers.cancel();
        self.status.serve(None);
        self.sockets.close("closed");
        Ok((exit.map_err(|_| Error::Service)?, bound))
    }

    /// With a key, workers must have one; for clients without one there is a port of their own.
    fn bind(&self, endpoints: &Endpoints, memory: u64) -> Result<Ports, Error> {
        let key = self.keyring.as_ref().map(Keyring::own);
        let bind = |kind, endpoint, key| Port::bind(kind, endpoint, key, self.most_connections);
        let mut ports = vec![
            bind(PortKind::Clients, &endpoints.clients, None)?,
            bind(PortKind::Workers, &endpoints.workers, key)?,
        ];
        if let Some(endpoint) = &endpoints.keyed_clients {
            ports.push(bind(PortKind::KeyedClients, endpoint, key)?);
        }
        let share = usize::try_from(memory / 8).unwrap_or(usize::MAX);
        Ok(Ports::new(ports, self.admits(), Bounds { begun: share, unread: share })?)
    }

    fn admits(&self) -> Admits {
        let Some(keyring) = self.keyring.clone() else { return Box::new(|_, _| false) };
        let metrics = self.metrics.clone();
        Box::new(move |port, key: &PublicKey| {
            let rights: &[Right] = match port {
                PortKind::Workers => &[Right::Work],
                PortKind::Clients | PortKind::KeyedClients => &[Right::Submit, Right::Administer],
            };
            let admitted = rights.iter().any(|right| keyring.may(key.as_str(), *right));
            if !admitted {
                metrics.refused_key(port);
            }
            admitted
        })
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

/// Starts the serving thread; gives its end.
fn start(parts: Parts, ports: Ports) -> Result<oneshot::Receiver<Exit>, Error> {
    let (sender, ended) = oneshot::channel();
    let run = move || {
        let exit = Service::new(parts).run(ports);
        // Only a router that has failed does not listen.
        let _ = sender.send(exit);
    };
    thread::Builder::new().name("router".to_owned()).spawn(run).map_err(socket::Error::Thread)?;
    Ok(ended)
}
