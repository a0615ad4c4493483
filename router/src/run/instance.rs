//! One start of the router: sockets, dispatcher and epoch, from binding to the last answer.

use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use trackyard_daemon::shutdown::Shutdown;
use trackyard_protocol::allowed::Right;
use trackyard_protocol::keys::PublicKey;

use super::{Error, Process};
use crate::args::{Args, Endpoint};
use crate::io_worker::IoWorker;
use crate::keyring::Keyring;
use crate::service::{self, Command, Exit, Handle, Parts, Service};
use crate::socket::{AdmitFn, MemoryLimits, Port, PortKind, Ports, SocketError};

/// Maximum number of background tasks that wait for an I/O worker.
const MAX_QUEUED_TASKS: usize = 256;

/// The endpoints to bind, or those that are bound.
#[derive(Debug, Clone)]
pub(super) struct Endpoints {
    pub(super) clients: Endpoint,
    pub(super) workers: Endpoint,
    pub(super) keyed_clients: Option<Endpoint>,
}

impl Endpoints {
    pub(super) fn from_args(args: &Args) -> Self {
        let open = [("--clients", &args.clients, false), ("--workers", &args.workers, args.key.is_some())];
        for (flag, endpoint, is_keyed) in open {
            if !endpoint.is_loopback() && !is_keyed {
                tracing::warn!(%endpoint, "{flag} is open to other machines; restrict it by a network policy");
            }
        }
        Self {
            clients: args.clients.clone(),
            workers: args.workers.clone(),
            keyed_clients: args.keyed_clients.clone(),
        }
    }

    /// Returns the endpoints with the ports that were bound.
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
    /// Binds, serves, and closes. Returns the bound endpoints, so that a restart takes the same ports.
    pub(super) async fn serve_once(
        &self,
        endpoints: &Endpoints,
        shutdown: &Shutdown,
    ) -> Result<(Exit, Endpoints), Error> {
        let memory = self.args.memory.map_or_else(service::available_memory, |memory| memory.0);
        let ports = self.bind(endpoints, memory)?;
        let bound = endpoints.bound(&ports);
        let (handle, commands) = service::channel(ports.waker().clone());
        let (changes, queued_changes) = mpsc::channel(MAX_QUEUED_TASKS);
        let (lookups, queued_lookups) = mpsc::channel(MAX_QUEUED_TASKS);
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
        let exit = start(parts, ports)?;
        self.sockets.open();
        self.status.set_service(Some((handle.clone(), bound.clone())));
        for tasks in [queued_changes, queued_lookups] {
            tokio::spawn(self.io_worker().run(tasks, handle.clone()));
        }
        let watchers = self.spawn_watchers(&handle, shutdown);
        let exit = exit.await;
        watchers.cancel();
        self.status.set_service(None);
        self.sockets.close("closed");
        Ok((exit.map_err(|_| Error::Service)?, bound))
    }

    /// Binds the ports. If the router has a key, workers must have one; clients with a key have a port of their own.
    fn bind(&self, endpoints: &Endpoints, memory: u64) -> Result<Ports, Error> {
        let key = self.keyring.as_ref().map(Keyring::own);
        let bind = |kind, endpoint, key| Port::bind(kind, endpoint, key, self.max_connections);
        let mut ports = vec![
            bind(PortKind::Clients, &endpoints.clients, None)?,
            bind(PortKind::Workers, &endpoints.workers, key)?,
        ];
        if let Some(endpoint) = &endpoints.keyed_clients {
            ports.push(bind(PortKind::KeyedClients, endpoint, key)?);
        }
        let share = usize::try_from(memory / 8).unwrap_or(usize::MAX);
        Ok(Ports::new(ports, self.admit_fn(), MemoryLimits { partial_messages: share, unread: share })?)
    }

    fn admit_fn(&self) -> AdmitFn {
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

    fn io_worker(&self) -> IoWorker {
        IoWorker {
            live: Arc::clone(&self.live),
            catalogue: Arc::clone(&self.catalogue),
            store: Arc::clone(&self.store),
        }
    }

    /// Spawns the tasks that send new configurations and signals to the service. They end with the returned token.
    fn spawn_watchers(&self, handle: &Handle, shutdown: &Shutdown) -> CancellationToken {
        let stop = CancellationToken::new();
        let mut configs = self.configs.clone();
        // The configuration may have changed since the service was created; to send it twice is harmless.
        configs.mark_changed();
        let service = handle.clone();
        let send_configs = async move {
            while configs.changed().await.is_ok() {
                let config = configs.borrow_and_update().clone();
                service.send(Command::Config(config));
            }
        };
        let service = handle.clone();
        let shutdown = shutdown.clone();
        let send_signals = async move {
            shutdown.requested.cancelled().await;
            service.send(Command::Drain);
            shutdown.hurried.cancelled().await;
            service.send(Command::Stop);
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(send_configs));
        tokio::spawn(stop.clone().run_until_cancelled_owned(send_signals));
        stop
    }
}

/// Starts the serving thread. The receiver gets how the service ended.
fn start(parts: Parts, ports: Ports) -> Result<oneshot::Receiver<Exit>, Error> {
    let (sender, receiver) = oneshot::channel();
    let run = move || {
        let exit = Service::new(parts).run(ports);
        // The receiver is gone only if the router has failed.
        let _ = sender.send(exit);
    };
    thread::Builder::new().name("router".to_owned()).spawn(run).map_err(SocketError::Thread)?;
    Ok(receiver)
}
