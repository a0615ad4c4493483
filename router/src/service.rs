//! The one thread that owns the ports and the dispatcher. It takes what arrives, lets `actions` and `dispatch`
//! decide, and sends what they want sent. It waits for nothing but its poll.

mod answer;
mod batches;
mod clients;
mod clock;
mod command;
mod crowding;
mod deployment;
mod lateness;
mod outbox;
mod phase;
mod waiters;
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
pub use crowding::available as available_memory;
pub use phase::Exit;

use crate::actions::Errand;
use crate::caller::PlainPeers;
use crate::config::Config;
use crate::dispatch::{Action, Dispatch, Event, Settings, Time, Waiter};
use crate::keyring::Keyring;
use crate::metrics::RouterMetrics;
use crate::socket::{Closed, Input, Origin, PortKind, Ports};
use clock::Clock;
use crowding::Crowding;
use deployment::{deployed_by_workers, deployment};
use lateness::lateness;
use outbox::Outbox;
use phase::Phase;
use waiters::Waiters;

/// The longest poll: gauges are shown and the pulse beats at least so often.
const LONGEST_POLL: Duration = Duration::from_secs(1);
/// After so long the rest waits for the next turn, in which workers are heard first: whoever sends much makes no worker seem
/// silent.
const LONGEST_TURN: Duration = Duration::from_millis(50);

/// What the service is made of.
pub struct Parts {
    /// What other threads want.
    pub commands: Receiver<Command>,
    /// Where errands go that change something.
    pub changes: Sender<(Waiter, Errand)>,
    /// Where the others go, which anybody may ask for: they keep no change waiting.
    pub lookups: Sender<(Waiter, Errand)>,
    /// The number of the workers' port.
    pub workers_port: u16,
    /// The configuration at the start.
    pub config: Arc<Config>,
    /// Whether workers that an earlier start configured bootstrap again.
    pub force_worker_restart: bool,
    /// The router's key and whom it allows, if it has one.
    pub keyring: Option<Keyring>,
    /// What peers without a key may do.
    pub plain_peers: PlainPeers,
    /// Bytes of memory that the process may have.
    pub memory: u64,
    /// How long running jobs may take once the router shuts down.
    pub drain_timeout: Duration,
    /// Where things are counted.
    pub metrics: RouterMetrics,
    /// Opened once workers have had the time to report what they hold.
    pub recovery: Gate,
    /// Beats with the loop.
    pub pulse: Pulse,
}

/// The service.
pub struct Service {
    parts: Parts,
    dispatch: Dispatch,
    epoch: Epoch,
    clock: Clock,
    waiters: Waiters,
    actions: Vec<Action>,
    outbox: Outbox,
    phase: Phase,
    crowding: Crowding,
    recovering: bool,
    shown: Time,
    /// The configuration with the versions that workers have, made at most once in a turn.
    reported: OnceCell<Config>,
}

impl Service {
    /// A service with a new epoch.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let epoch = Epoch(rand::random());
        let settings = settings(&parts);
        let mut service = Self {
            dispatch: Dispatch::new(epoch, settings, Time::ZERO),
            crowding: Crowding::new(parts.memory),
            parts,
            epoch,
            clock: Clock::start(),
            waiters: Waiters::default(),
            actions: Vec::new(),
            outbox: Outbox::default(),
            phase: Phase::Serving,
            recovering: true,
            shown: Time::ZERO,
            reported: OnceCell::new(),
        };
        if !service.parts.config.cluster.is_loading {
            service.feed(Event::Deployed(deployment(&service.parts.config.container_versions)));
        }
        service
    }

    /// Serves until a command ends it.
    pub fn run(mut self, mut ports: Ports) -> Exit {
        let endpoint = |kind| ports.of(kind).map(|port| tracing::field::display(port.endpoint()));
        let (clients, workers) = (endpoint(PortKind::Clients), endpoint(PortKind::Workers));
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
            self.take_turn(&mut ports, late);
            if let Some(exit) = self.finished() {
                self.close(ports);
                return exit;
            }
        }
    }

    fn take_turn(&mut self, ports: &mut Ports, late: Option<Duration>) {
        let began = self.clock.time();
        self.reported.take();
        ports.heed_waker();
        self.take_commands();
        if let Some(by) = late {
            // What workers said meanwhile lies in the sockets: it is heard before their silence is judged.
            self.hear_workers(ports);
            tracing::warn!(millis = by.as_millis(), "this process did not run for a while");
            self.parts.metrics.stalled();
            self.feed(Event::Stalled { by });
        } else {
            self.take_all(ports);
        }
        if self.dispatch.next_wake() <= self.clock.time() {
            if self.clock.time() > began + 2 * LONGEST_TURN {
                // As after a pause.
                ports.wait(Duration::ZERO);
                self.take_all(ports);
            }
            self.feed(Event::Tick);
        }
        self.flush(ports);
        self.tell();
    }

    fn hear_workers(&mut self, ports: &mut Ports) {
        for _ in 0..64 {
            if !self.take_all(ports) {
                return;
            }
            ports.wait(Duration::ZERO);
        }
    }

    /// Takes what waits have told of, and whom there is time for; true if a worker was heard. A worker that was heard is
    /// answered at once: it has its next jobs while the others are heard, and their bytes are still in the processor's
    /// caches. Answers do not pile up for the turn's end.
    fn take_all(&mut self, ports: &mut Ports) -> bool {
        let (mut heard_worker, end) = (false, self.clock.time() + LONGEST_TURN);
        while self.clock.time() < end
            && let Some(port) = ports.take(&mut |input| self.take(input))
        {
            // Not each of them brings a message.
            self.clock.count_message();
            if port == PortKind::Workers {
                heard_worker = true;
                self.tell_workers(ports);
            }
            if self.outbox.is_large() {
                self.flush(ports);
            }
        }
        ports.receive_new(&mut |input| self.take(input));
        heard_worker
    }

    fn take(&mut self, input: Input<'_>) {
        self.clock.count_message();
        match input {
            Input::Message(from, message) if from.port == PortKind::Workers => self.take_words(from, message),
            Input::Message(from, message) => self.take_request(from, message),
            Input::Closed(from, how) => self.take_close(from, how),
        }
    }

    fn take_close(&mut self, from: &Origin, how: Closed) {
        self.parts.metrics.closed(from.port, how);
        if matches!(how, Closed::Oversize | Closed::Crowded | Closed::Unread) {
            let (port, how) = (<&str>::from(from.port), <&str>::from(how));
            tracing::warn!(port, from = %from.address, how, "closed a connection that takes too much memory");
        }
        if from.port == PortKind::Workers {
            self.feed(Event::Gone { peer: from.peer });
        }
    }

    fn timeout(&self) -> Duration {
        self.dispatch.next_wake().saturating_sub(self.clock.time()).min(LONGEST_POLL)
    }

    /// The configuration. While the cluster has not said which versions are deployed, those count that workers had at
    /// the turn's first look.
    fn config(&self) -> &Config {
        let config = &*self.parts.config;
        if !config.cluster.is_loading {
            return config;
        }
        self.reported.get_or_init(|| {
            let mut reported = config.clone();
            reported.container_versions = deployed_by_workers(&self.dispatch.snapshot());
            reported
        })
    }

    /// Gives the dispatcher an event and does what it wants; sent is later, by the outbox.
    fn feed(&mut self, event: Event) {
        let now = self.clock.time();
        let mut actions = std::mem::take(&mut self.actions);
        self.dispatch.on(event, now, &mut actions);
        for action in actions.drain(..) {
            match action {
                Action::Answer { waiter, answer } => self.answer_job(waiter, &answer),
                Action::Count(counter) => self.parts.metrics.count(counter),
                Action::Send { peer, message } => self.outbox.word(peer, &message),
            }
        }
        self.actions = actions;
    }

    fn tell(&mut self) {
        self.parts.pulse.beat();
        if self.recovering && !self.dispatch.is_recovering() {
            self.recovering = false;
            if self.phase == Phase::Serving {
                self.parts.recovery.open();
            }
        }
        if self.clock.time() >= self.shown + LONGEST_POLL {
            self.shown = self.clock.time();
            self.parts.metrics.show(&self.dispatch.snapshot());
        }
    }
}

fn settings(parts: &Parts) -> Settings {
    let (config, queue) = (&parts.config, &parts.config.queue);
    let usual = Settings::new(config.images.clone(), config.inputs.clone());
    Settings {
        queue_max_wait: queue.max_wait.0,
        queue_max_jobs: usize::try_from(queue.max_jobs).unwrap_or(usize::MAX),
        queue_max_bytes: usize::try_from(queue.max_bytes.0).unwrap_or(usize::MAX),
        expected: config.expected_places(),
        pools: config.cluster.pools.clone(),
        force_worker_restart: parts.force_worker_restart,
        // Stored answers alone must not come near what makes the router refuse others.
        store_bytes: usual.store_bytes.min(usize::try_from(parts.memory / 4).unwrap_or(usize::MAX)),
        ..usual
    }
}
