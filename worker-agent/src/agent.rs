//! The worker as a whole: events from the socket, jobs and preparations go into the pure parts ([`Connection`],
//! [`DesiredVersions`]), and the actions that these return are executed here.

mod actions;
mod builds;
mod jobs;
mod startup;
mod status;
mod tasks;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use trackyard_daemon::pulse::Pulse;
use trackyard_daemon::readiness::Gate;
use trackyard_daemon::shutdown::Shutdown;
use trackyard_images::ImageOptions;
use trackyard_protocol::token::Token;
use trackyard_protocol::worker::{FromRouter, TrackVersion};

use crate::bootstrap::Bootstrap;
use crate::build::BuildLogs;
use crate::canary::Canary;
use crate::connection::{Connection, DrainMode, Event, Outgoing};
use crate::input::Inputs;
use crate::metrics::WorkerMetrics;
use crate::sandbox::{Host, Slot};
use crate::socket::{self, IncomingMessage};
use crate::store::Store;
use crate::trust::Trust;
use crate::versions::desired::DesiredVersions;
use crate::versions::prepare::{Preparer, ReadyVersion};

pub(crate) use startup::image_options;
pub use startup::{AgentError, listen};
pub use status::WorkerStatus;

use builds::Builds;
use jobs::Running;
use startup::BootstrapClient;
use tasks::{TaskOutcome, Tasks};

/// Maximum time between two iterations of the loop, so that the pulse beats.
const MAX_TICK_INTERVAL: Duration = Duration::from_secs(5);

/// Interval between two pages of a build's log.
const BUILD_LOG_INTERVAL: Duration = Duration::from_millis(300);

/// Maximum number of messages that one iteration reads. Their answers leave together.
const MAX_MESSAGES_PER_ITERATION: usize = 64;

/// The state of a worker.
struct Agent {
    connection: Connection,
    versions: DesiredVersions,
    socket: socket::SocketHandle,
    generation: u64,
    outgoing: Outgoing,
    bootstrap: Bootstrap,
    bootstrap_client: BootstrapClient,
    trust: Trust,
    host: Host,
    store: Store,
    images: ImageOptions,
    preparer: Option<Preparer>,
    inputs: Option<Inputs>,
    ready: HashMap<TrackVersion, Arc<ReadyVersion>>,
    /// Versions that are no longer desired. The next collection removes their images.
    unwanted: Vec<Arc<ReadyVersion>>,
    slots: Vec<Slot>,
    builds: Option<Builds>,
    build_logs: BuildLogs,
    running: HashMap<Token, Running>,
    canary: Option<Canary>,
    tasks: Tasks,
    gates: Gates,
    metrics: WorkerMetrics,
    pulse: Pulse,
    status: watch::Sender<WorkerStatus>,
    /// Why the worker drains, unless it was asked to.
    fault: Option<AgentError>,
    has_left: bool,
    /// Every version of the router's first list is ready, or has failed permanently.
    versions_settled: bool,
}

/// The conditions of readiness. An open gate stays open, even if the router is lost, except `sandbox` and `serving`.
struct Gates {
    sandbox: Gate,
    router: Gate,
    versions: Gate,
    serving: Gate,
}

impl Agent {
    /// Runs the loop until the worker has exited.
    async fn run(
        mut self,
        mut incoming: mpsc::Receiver<IncomingMessage>,
        shutdown: Shutdown,
    ) -> Result<(), AgentError> {
        let mut asked = false;
        let mut hurried = false;
        self.dispatch_event(Event::Tick);
        self.flush();
        while !self.has_left {
            self.pulse.beat();
            let tick = self.next_tick();
            tokio::select! {
                // Messages come before timers: after a pause of the machine they are all there at once.
                biased;
                message = incoming.recv() => {
                    self.on_message(&message.ok_or(AgentError::SocketGone)?);
                    for more in std::iter::from_fn(|| incoming.try_recv().ok()).take(MAX_MESSAGES_PER_ITERATION) {
                        self.on_message(&more);
                    }
                },
                done = self.tasks.next(), if !self.tasks.is_empty() => self.on_task_done(done),
                () = shutdown.requested.cancelled(), if !asked => {
                    asked = true;
                    self.drain(DrainMode::Graceful, "asked to stop");
                }
                () = shutdown.hurried.cancelled(), if !hurried => {
                    hurried = true;
                    self.drain(DrainMode::Immediate, "asked to stop at once");
                }
                () = tokio::time::sleep_until(tick.into()) => self.tick(),
            }
            self.publish_status();
            self.send_build_logs();
            self.flush();
        }
        self.fault.map_or(Ok(()), Err)
    }

    fn next_tick(&self) -> Instant {
        let latest = Instant::now() + if self.is_building() { BUILD_LOG_INTERVAL } else { MAX_TICK_INTERVAL };
        [self.connection.next_tick(), self.versions.next_tick()]
            .into_iter()
            .flatten()
            .fold(latest, Instant::min)
    }

    fn tick(&mut self) {
        let actions = self.versions.tick(Instant::now());
        self.apply_version_actions(actions);
        self.dispatch_event(Event::Tick);
        self.check_stuck_jobs();
    }

    fn on_message(&mut self, message: &IncomingMessage) {
        if message.generation != self.generation {
            return;
        }
        for decoded in FromRouter::decode_each(&message.frames) {
            match decoded {
                Ok(message) => self.dispatch_event(Event::RouterMessage(Box::new(message))),
                Err(error) => {
                    tracing::warn!(%error, "a message from the router was not understood");
                    self.metrics.message_malformed(&error);
                }
            }
        }
    }

    /// Starts a drain.
    fn drain(&mut self, mode: DrainMode, why: &str) {
        tracing::info!(why, "draining");
        self.gates.serving.close(why);
        self.dispatch_event(Event::Drain(mode));
    }

    /// Drains because this machine cannot run jobs any more.
    fn drain_after_fault(&mut self, fault: AgentError) {
        tracing::error!(error = %fault, "this worker cannot run jobs any more and drains");
        self.gates.sandbox.close(fault.to_string());
        self.fault.get_or_insert(fault);
        self.drain(DrainMode::Graceful, "the sandbox is broken");
    }

    fn on_task_done(&mut self, done: TaskOutcome) {
        match done {
            TaskOutcome::JobDone(done) => self.on_job_done(*done),
            TaskOutcome::JobPanicked { token, key } => self.on_job_panicked(token, key),
            TaskOutcome::Prepared { version, result } => self.on_prepared(&version, result),
            TaskOutcome::Bootstrapped(bootstrap) => self.on_bootstrapped(bootstrap),
            TaskOutcome::Nothing => {}
        }
    }
}
