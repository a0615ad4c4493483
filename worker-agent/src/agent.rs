//! The worker as a whole: events from the socket, from jobs and from preparations go into the pure parts
//! ([`Connection`], [`Versions`]), and what these want is done here.

mod actions;
mod begin;
mod builds;
mod jobs;
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
use crate::build::Shelf;
use crate::canary::Canary;
use crate::connection::{Connection, Event, Leave, Outgoing};
use crate::input::Inputs;
use crate::metrics::Metrics;
use crate::sandbox::{Host, Slot};
use crate::socket::{self, Incoming};
use crate::store::Store;
use crate::trust::Trust;
use crate::versions::desired::Versions;
use crate::versions::prepare::{Preparer, Ready};

pub(crate) use begin::image_options;
pub use begin::{Error, listen};
pub use status::Status;

use begin::Asker;
use builds::Builds;
use jobs::Running;
use tasks::{Done, Tasks};

/// The longest sleep: liveness is told at least so often.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// Between two pages of a build's log.
const LOG_PAUSE: Duration = Duration::from_millis(300);

/// Messages of the router that are heard at once, so that they are answered in one.
const MOST_HEARD: usize = 64;

/// What a worker is made of.
struct Agent {
    connection: Connection,
    versions: Versions,
    socket: socket::Handle,
    generation: u64,
    outgoing: Outgoing,
    bootstrap: Bootstrap,
    asker: Asker,
    trust: Trust,
    host: Host,
    store: Store,
    images: ImageOptions,
    preparer: Option<Preparer>,
    inputs: Option<Inputs>,
    ready: HashMap<TrackVersion, Arc<Ready>>,
    /// No longer wanted; their images are let go when there is a collection.
    gone: Vec<Arc<Ready>>,
    slots: Vec<Slot>,
    builds: Option<Builds>,
    shelf: Shelf,
    running: HashMap<Token, Running>,
    canary: Option<Canary>,
    tasks: Tasks,
    gates: Gates,
    metrics: Metrics,
    pulse: Pulse,
    status: watch::Sender<Status>,
    /// Why the worker leaves, if not because it was asked to.
    fault: Option<Error>,
    leaving: bool,
    /// Every version that was wanted at first is ready, or has failed for good.
    settled: bool,
}

/// What must be there before the worker is ready. Once open they stay open, whatever becomes of the router.
struct Gates {
    sandbox: Gate,
    router: Gate,
    versions: Gate,
    serving: Gate,
}

impl Agent {
    /// Works until it has left.
    async fn run(mut self, mut incoming: mpsc::Receiver<Incoming>, shutdown: Shutdown) -> Result<(), Error> {
        let (mut asked, mut hurried) = (false, false);
        self.happens(Event::Tick);
        self.flush();
        while !self.leaving {
            self.pulse.beat();
            let tick = self.next_tick();
            tokio::select! {
                // What came is read before time is judged: after a pause of the machine it is all there at once.
                biased;
                message = incoming.recv() => {
                    self.hear(&message.ok_or(Error::SocketGone)?);
                    for more in std::iter::from_fn(|| incoming.try_recv().ok()).take(MOST_HEARD) {
                        self.hear(&more);
                    }
                },
                done = self.tasks.next(), if !self.tasks.is_empty() => self.done(done),
                () = shutdown.requested.cancelled(), if !asked => {
                    asked = true;
                    self.leave(Leave::ExitInTime, "asked to stop");
                }
                () = shutdown.hurried.cancelled(), if !hurried => {
                    hurried = true;
                    self.leave(Leave::ExitNow, "asked to stop at once");
                }
                () = tokio::time::sleep_until(tick.into()) => self.tick(),
            }
            self.show();
            self.tell_logs();
            self.flush();
        }
        self.fault.map_or(Ok(()), Err)
    }

    fn next_tick(&self) -> Instant {
        let latest = Instant::now() + if self.is_building() { LOG_PAUSE } else { LONGEST_SLEEP };
        [self.connection.next_tick(), self.versions.next_tick()]
            .into_iter()
            .flatten()
            .fold(latest, Instant::min)
    }

    fn tick(&mut self) {
        let actions = self.versions.tick(Instant::now());
        self.prepare(actions);
        self.happens(Event::Tick);
        self.look_for_stuck_jobs();
    }

    fn hear(&mut self, message: &Incoming) {
        if message.generation != self.generation {
            return;
        }
        for word in FromRouter::decode_each(&message.frames) {
            match word {
                Ok(word) => self.happens(Event::Heard(Box::new(word))),
                Err(error) => {
                    tracing::warn!(%error, "a word from the router was not understood");
                    self.metrics.malformed(&error);
                }
            }
        }
    }

    /// Takes no more jobs and leaves.
    fn leave(&mut self, leave: Leave, why: &str) {
        tracing::info!(why, "draining");
        self.gates.serving.close(why);
        self.happens(Event::Drain(leave));
    }

    /// Leaves because of a fault of this machine.
    fn leave_for(&mut self, fault: Error) {
        tracing::error!(error = %fault, "this worker takes itself out");
        self.gates.sandbox.close(fault.to_string());
        self.fault.get_or_insert(fault);
        self.leave(Leave::ExitInTime, "the sandbox is broken");
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Job(done) => self.job_done(*done),
            Done::JobLost { token, key } => self.job_lost(token, key),
            Done::Prepared { version, result } => self.prepared(&version, result),
            Done::Bootstrapped(bootstrap) => self.bootstrapped(bootstrap),
            Done::Nothing => {}
        }
    }
}
