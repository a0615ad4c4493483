//! The one thread that owns the sockets and the dispatcher. It takes what arrives, lets `actions` and `dispatch`
//! decide, and sends what they want sent. It waits for nothing but its poll.

mod answer;
mod batches;
mod clients;
mod command;
mod crowding;
mod lateness;
mod outbox;
mod peers;
mod phase;
mod suspicion;
mod waiters;
mod workers;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

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
use crate::socket::{Port, Ports};
use crate::versions::Deployed;
use crowding::Crowding;
use lateness::lateness;
use outbox::Outbox;
use phase::Phase;
use suspicion::Suspicion;
use waiters::Waiters;

/// Messages taken from a socket before the other one has its turn.
const BATCH: usize = 128;
/// The longest poll: gauges are shown and the pulse beats at least so often.
const LONGEST_POLL: Duration = Duration::from_secs(1);

/// What the service is made of.
pub struct Parts {
    /// The sockets.
    pub ports: Ports,
    /// What other threads want.
    pub commands: Receiver<Command>,
    /// Where errands go.
    pub errands: Sender<(Waiter, Errand)>,
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
    started: Instant,
    waiters: Waiters,
    actions: Vec<Action>,
    outbox: Outbox,
    /// Where answers are written.
    memory: Vec<u8>,
    phase: Phase,
    suspicion: Suspicion,
    crowding: Crowding,
    recovering: bool,
    shown: Time,
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
            started: Instant::now(),
            waiters: Waiters::default(),
            actions: Vec::new(),
            outbox: Outbox::default(),
            memory: Vec::new(),
            phase: Phase::Serving,
            suspicion: Suspicion::default(),
            recovering: true,
            shown: Time::ZERO,
        };
        if !service.parts.config.yard.is_unknown {
            service.feed(Event::Deployed(service.parts.config.container_versions.resolved()));
        }
        tracing::info!(%epoch, clients = service.parts.ports.clients.endpoint(),
            workers = service.parts.ports.workers.endpoint(),
            keyed_clients = service.parts.ports.keyed_clients.as_ref().map(Port::endpoint), "serving");
        service
    }

    /// Serves until a command ends it.
    pub fn run(mut self) -> Exit {
        let mut woke = self.now();
        loop {
            let timeout = self.timeout();
            self.parts.ports.wait(timeout);
            let now = self.now();
            let late = lateness(now, woke + timeout);
            woke = now;
            self.take_turn(late);
            if let Some(exit) = self.finished() {
                self.close();
                return exit;
            }
        }
    }

    fn take_turn(&mut self, late: Option<Duration>) {
        self.take_commands();
        if let Some(by) = late {
            // What workers said meanwhile lies in the sockets: it is heard before their silence is judged.
            self.take_everything();
            tracing::warn!(millis = by.as_millis(), "this process did not run for a while");
            self.parts.metrics.stalled();
            self.feed(Event::Stalled { by });
        } else {
            self.take_workers();
            self.take_clients();
        }
        if self.suspicion.take(self.now()) {
            self.feed(Event::Suspect);
        }
        if self.dispatch.next_wake().is_some_and(|due| due <= self.now()) {
            self.feed(Event::Tick);
        }
        self.flush();
        self.tell();
    }

    fn take_everything(&mut self) {
        for _ in 0..64 {
            if self.take_workers() + self.take_clients() == 0 {
                return;
            }
        }
    }

    fn timeout(&self) -> Duration {
        let next = self.dispatch.next_wake().into_iter().chain(self.suspicion.next()).min();
        next.map_or(LONGEST_POLL, |due| due.saturating_sub(self.now())).min(LONGEST_POLL)
    }

    /// The configuration. While the cluster has not said which versions are deployed, those count that workers have.
    fn config(&self) -> Cow<'_, Config> {
        let config = &*self.parts.config;
        if !config.yard.is_unknown {
            return Cow::Borrowed(config);
        }
        let mut reported = config.clone();
        reported.container_versions = Deployed::reported(&self.dispatch.snapshot());
        Cow::Owned(reported)
    }

    fn now(&self) -> Time {
        self.started.elapsed()
    }

    /// Gives the dispatcher an event and does what it wants; sent is at the end of the turn.
    fn feed(&mut self, event: Event) {
        let now = self.now();
        let mut actions = std::mem::take(&mut self.actions);
        self.dispatch.on(event, now, &mut actions);
        for action in actions.drain(..) {
            match action {
                Action::Answer { waiter, ending } => self.answer_job(waiter, &ending),
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
        if self.now() >= self.shown + LONGEST_POLL {
            self.shown = self.now();
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
        pools: config.yard.pools.clone(),
        force_worker_restart: parts.force_worker_restart,
        // Stored answers alone must not come near what makes the router refuse others.
        store_bytes: usual.store_bytes.min(usize::try_from(parts.memory / 4).unwrap_or(usize::MAX)),
        ..usual
    }
}
