//! The thread that owns the ports and the dispatcher. It receives messages, lets `actions` and `dispatch` decide, and
//! sends the answers. It blocks in its poll only.

mod answer;
mod batches;
mod clients;
mod clock;
mod command;
mod deployment;
mod memory_pressure;
mod outbox;
mod pending;
mod phase;
mod workers;

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use trackyard_daemon::pulse::Pulse;
use trackyard_daemon::readiness::Gate;
use trackyard_protocol::token::Epoch;

pub use batches::Batches;
pub use command::{Command, Handle, channel};
pub use memory_pressure::available_memory;
pub use phase::Exit;

use crate::actions::BackgroundTask;
use crate::caller::PlainPeers;
use crate::config::Config;
use crate::dispatch::{Action, Dispatch, Event, Settings, Time, Waiter};
use crate::keyring::Keyring;
use crate::metrics::RouterMetrics;
use crate::socket::{CloseReason, Input, Origin, PortKind, Ports};
use clock::{Clock, lateness};
use deployment::{deployed_by_workers, deployment};
use memory_pressure::MemoryPressure;
use outbox::Outbox;
use pending::PendingRequests;
use phase::Phase;

/// Timeout of the poll, and so the maximum interval between updates of the gauges and beats of the pulse.
const MAX_POLL_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum time for receiving in one iteration. What is left waits for the next iteration, which begins with workers, so
/// that a busy client cannot make workers look silent.
const MAX_RECEIVE_TIME: Duration = Duration::from_millis(50);
/// Maximum number of times that the sockets are polled for waiting messages after a pause.
const MAX_DRAIN_ROUNDS: usize = 64;

/// The parts of a service.
pub struct Parts {
    /// Commands of other threads.
    pub commands: Receiver<Command>,
    /// Receives the background tasks that change something.
    pub changes: Sender<(Waiter, BackgroundTask)>,
    /// Receives the other background tasks. Every client may request them, so they must not delay changes.
    pub lookups: Sender<(Waiter, BackgroundTask)>,
    /// The number of the workers' port.
    pub workers_port: u16,
    /// The configuration at the start.
    pub config: Arc<Config>,
    /// Whether workers that were configured by an earlier start bootstrap again.
    pub force_worker_restart: bool,
    /// The router's key and the list of allowed keys, if the router has a key.
    pub keyring: Option<Keyring>,
    /// What peers without a key may do.
    pub plain_peers: PlainPeers,
    /// Bytes of memory that the process may use.
    pub memory: u64,
    /// Time for running jobs to finish after shutdown has begun.
    pub drain_timeout: Duration,
    /// The metrics.
    pub metrics: RouterMetrics,
    /// Opens when workers have had time to report the jobs that they hold.
    pub recovery: Gate,
    /// Beats once in each iteration.
    pub pulse: Pulse,
}

/// The service.
pub struct Service {
    parts: Parts,
    dispatch: Dispatch,
    epoch: Epoch,
    clock: Clock,
    pending: PendingRequests,
    actions: Vec<Action>,
    outbox: Outbox,
    phase: Phase,
    memory_pressure: MemoryPressure,
    recovering: bool,
    published: Time,
    /// The configuration with the versions that workers report, computed at most once in an iteration.
    reported_config: OnceCell<Config>,
}

impl Service {
    /// Creates a service with a new epoch.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let epoch = Epoch(rand::random());
        let settings = settings(&parts);
        let mut service = Self {
            dispatch: Dispatch::new(epoch, settings, Time::ZERO),
            memory_pressure: MemoryPressure::new(parts.memory),
            parts,
            epoch,
            clock: Clock::start(),
            pending: PendingRequests::default(),
            actions: Vec::new(),
            outbox: Outbox::default(),
            phase: Phase::Serving,
            recovering: true,
            published: Time::ZERO,
            reported_config: OnceCell::new(),
        };
        if !service.parts.config.cluster.is_loading {
            service.feed(Event::Deployed(deployment(&service.parts.config.container_versions)));
        }
        service
    }

    /// Serves until a command stops the service.
    pub fn run(mut self, mut ports: Ports) -> Exit {
        let endpoint = |kind| ports.of(kind).map(|port| tracing::field::display(port.endpoint()));
        let clients = endpoint(PortKind::Clients);
        let workers = endpoint(PortKind::Workers);
        let keyed_clients = endpoint(PortKind::KeyedClients);
        tracing::info!(epoch = %self.epoch, clients, workers, keyed_clients, "serving");
        let mut woke = self.clock.time();
        loop {
            self.clock.read();
            let timeout = self.timeout();
            ports.wait(timeout);
            self.clock.read();
            let now = self.clock.time();
            let late = lateness(now, woke + timeout);
            woke = now;
            self.iterate(&mut ports, late);
            if let Some(exit) = self.exit() {
                self.close(ports);
                return exit;
            }
        }
    }

    fn iterate(&mut self, ports: &mut Ports, late: Option<Duration>) {
        let began = self.clock.time();
        self.reported_config.take();
        ports.clear_wake();
        self.handle_commands();
        if let Some(by) = late {
            // Messages of workers may wait in the sockets. They are received before silent workers are given up.
            self.drain_sockets(ports);
            tracing::warn!(millis = by.as_millis(), "this process did not run for a while");
            self.parts.metrics.stalled();
            self.feed(Event::Stalled { by });
        } else {
            self.receive(ports);
        }
        if self.dispatch.next_wake() <= self.clock.time() {
            if self.clock.time() > began + 2 * MAX_RECEIVE_TIME {
                // This iteration was slow, so messages may wait as after a pause.
                ports.wait(Duration::ZERO);
                self.receive(ports);
            }
            self.feed(Event::Tick);
        }
        self.flush(ports);
        self.publish();
    }

    /// Receives until no worker has sent anything more.
    fn drain_sockets(&mut self, ports: &mut Ports) {
        for _ in 0..MAX_DRAIN_ROUNDS {
            if !self.receive(ports) {
                return;
            }
            ports.wait(Duration::ZERO);
        }
    }

    /// Receives from the connections that are ready, for at most `MAX_RECEIVE_TIME`. Returns true if a worker has sent
    /// something. A worker gets its next jobs immediately, before others are received from, while their bytes are still in
    /// the processor's caches. Answers do not pile up until the end of the iteration.
    fn receive(&mut self, ports: &mut Ports) -> bool {
        let mut has_heard_worker = false;
        let end = self.clock.time() + MAX_RECEIVE_TIME;
        while self.clock.time() < end
            && let Some(port) = ports.receive_next(&mut |input| self.on_input(input))
        {
            // A connection may be ready without a message, and then nothing else reads the clock.
            self.clock.count_message();
            if port == PortKind::Workers {
                has_heard_worker = true;
                self.flush_worker_messages(ports);
            }
            if self.outbox.is_large() {
                self.flush(ports);
            }
        }
        ports.accept(&mut |input| self.on_input(input));
        has_heard_worker
    }

    fn on_input(&mut self, input: Input<'_>) {
        self.clock.count_message();
        match input {
            Input::Message(from, batch) if from.port == PortKind::Workers => {
                self.on_worker_batch(from, batch);
            }
            Input::Message(from, message) => self.on_request(from, message),
            Input::Closed(from, reason) => self.on_close(from, reason),
        }
    }

    fn on_close(&mut self, from: &Origin, reason: CloseReason) {
        self.parts.metrics.closed(from.port, reason);
        if matches!(reason, CloseReason::Oversize | CloseReason::Crowded | CloseReason::Unread) {
            let port = <&str>::from(from.port);
            let reason = <&str>::from(reason);
            tracing::warn!(port, from = %from.address, reason, "closed a connection that takes too much memory");
        }
        if from.port == PortKind::Workers {
            self.feed(Event::Disconnected { peer: from.peer });
        }
    }

    fn timeout(&self) -> Duration {
        self.dispatch.next_wake().saturating_sub(self.clock.time()).min(MAX_POLL_TIMEOUT)
    }

    /// Returns the configuration. While the cluster has not listed its versions, it has the versions that workers
    /// report, as of the first call in the iteration.
    fn config(&self) -> &Config {
        let config = &*self.parts.config;
        if !config.cluster.is_loading {
            return config;
        }
        self.reported_config.get_or_init(|| {
            let mut reported = config.clone();
            reported.container_versions = deployed_by_workers(&self.dispatch.snapshot());
            reported
        })
    }

    /// Feeds the dispatcher an event and carries out its actions. Messages are queued in the outbox.
    fn feed(&mut self, event: Event) {
        let now = self.clock.time();
        let mut actions = std::mem::take(&mut self.actions);
        self.dispatch.on(event, now, &mut actions);
        for action in actions.drain(..) {
            match action {
                Action::Answer { waiter, answer } => self.answer_job(waiter, &answer),
                Action::Count(counter) => self.parts.metrics.count(counter),
                Action::Send { peer, message } => self.outbox.push_message(peer, &message),
            }
        }
        self.actions = actions;
    }

    /// Beats the pulse, and publishes readiness and gauges.
    fn publish(&mut self) {
        self.parts.pulse.beat();
        if self.recovering && !self.dispatch.is_recovering() {
            self.recovering = false;
            if self.phase == Phase::Serving {
                self.parts.recovery.open();
            }
        }
        if self.clock.time() >= self.published + MAX_POLL_TIMEOUT {
            self.published = self.clock.time();
            self.parts.metrics.set_gauges(&self.dispatch.snapshot());
        }
    }
}

fn settings(parts: &Parts) -> Settings {
    let config = &parts.config;
    let queue = &config.queue;
    let defaults = Settings::new(config.images.clone(), config.inputs.clone());
    Settings {
        queue_max_wait: queue.max_wait.0,
        queue_max_jobs: usize::try_from(queue.max_jobs).unwrap_or(usize::MAX),
        queue_max_bytes: usize::try_from(queue.max_bytes.0).unwrap_or(usize::MAX),
        expected: config.expected_places(),
        pools: config.cluster.pools.clone(),
        force_worker_restart: parts.force_worker_restart,
        // Stored answers alone must stay far below the memory at which the router sheds answers.
        store_bytes: defaults.store_bytes.min(usize::try_from(parts.memory / 4).unwrap_or(usize::MAX)),
        ..defaults
    }
}
