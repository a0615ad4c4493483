//! The router around the dispatcher. At times it dies and starts again with another epoch, or stands still.

use std::collections::BTreeMap;
use std::time::Duration;

use trackyard_protocol::source::{ImageSource, ImageSourceKind, InputPolicy};
use trackyard_protocol::token::Epoch;
use trackyard_protocol::worker::{FromRouter, FromWorker};
use trackyard_router::dispatch::{
    Action, DeployedVersions, Dispatch, Event, Peer, PlantedFault, Settings, Snapshot, Time,
};
use trackyard_router::service::Batches;

use crate::plan::{TRACKS, VERSIONS, tooling, version};
use crate::random::Random;
use crate::simulation::{SimEvent, Simulation};

pub(crate) struct Router {
    pub(crate) dispatch: Option<Dispatch>,
    pub(crate) events: usize,
    /// The total duration of its stalls.
    pub(crate) stalled: Duration,
    pub(crate) epoch: Epoch,
    /// The last connection to the previous router.
    last_old_peer: Peer,
    /// The track and version that are not deployed at the moment.
    pub(crate) undeployed: Option<(usize, usize)>,
    fault: Option<PlantedFault>,
    /// Events that arrived during a stall; `None` if the router runs.
    inbox: Option<Vec<Event>>,
    tick_at: Option<Time>,
    /// Messages that leave at the next flush.
    outbox: Batches,
}

impl Router {
    pub(crate) fn new(random: &mut Random, fault: Option<PlantedFault>) -> Self {
        Self {
            dispatch: None,
            events: 0,
            stalled: Duration::ZERO,
            epoch: Epoch(random.next()),
            last_old_peer: Peer(0),
            undeployed: None,
            fault,
            inbox: None,
            tick_at: None,
            outbox: Batches::default(),
        }
    }

    pub(crate) fn is_stalled(&self) -> bool {
        self.inbox.is_some()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.dispatch.as_ref().unwrap().snapshot()
    }

    pub(crate) fn deployed_versions(&self) -> DeployedVersions {
        let versions = |track| {
            let deployed = (0..VERSIONS).filter(move |version| self.undeployed != Some((track, *version)));
            deployed.map(version).collect()
        };
        DeployedVersions(
            (0..TRACKS.len()).map(|track| (tooling(track), versions(track))).collect::<BTreeMap<_, _>>(),
        )
    }
}

fn settings() -> Settings {
    let images = ImageSource {
        kind: ImageSourceKind::Layout,
        location: "/images".to_owned(),
        repositories: BTreeMap::new(),
    };
    // Shorter than the defaults, so that timeouts occur often.
    Settings {
        setup: Duration::from_secs(2),
        grace: Duration::from_secs(1),
        queue_max_wait: Duration::from_secs(4),
        build_return: Duration::from_secs(2),
        queue_max_jobs: 200,
        store_ttl: Duration::from_secs(20),
        store_bytes: 200_000,
        poison_ttl: Duration::from_secs(30),
        ..Settings::new(images, InputPolicy::default())
    }
}

impl Simulation {
    pub(crate) fn router_up(&mut self) {
        self.router.epoch = Epoch(self.random.next());
        let epoch = self.router.epoch;
        let now = self.now;
        self.router.dispatch = Some(match self.router.fault {
            Some(fault) => Dispatch::with_planted_fault(epoch, settings(), now, fault),
            None => Dispatch::new(epoch, settings(), now),
        });
        self.router.tick_at = None;
        self.router.last_old_peer = self.new_peer();
        self.checker.router_started(now);
        // The deployed versions may be known late.
        let versions = self.router.deployed_versions();
        self.router_event(Event::Deployed(versions));
        for index in 0..self.workers.len() {
            let delay = self.random.millis(20, 500);
            self.schedule_in(delay, SimEvent::Reconnect(index));
        }
    }

    pub(crate) fn router_down(&mut self) {
        if self.router.is_stalled() || self.router.dispatch.take().is_none() {
            return;
        }
        self.checker.count("router restarts");
        self.router.outbox = Batches::default();
        for worker in &mut self.workers {
            worker.peer = None;
        }
        self.resend_all();
        let delay = self.random.millis(50, 2500);
        self.schedule_in(delay, SimEvent::RouterUp);
    }

    pub(crate) fn stall(&mut self, duration: Duration) {
        if self.router.dispatch.is_some() && !self.router.is_stalled() {
            self.checker.count("stalls");
            self.router.inbox = Some(Vec::new());
            self.schedule_in(duration, SimEvent::RouterResumes(duration));
        }
    }

    /// Ends a stall: the router first handles what arrived meanwhile, then learns of the stall, then does what is due.
    pub(crate) fn router_resumes(&mut self, by: Duration) {
        self.router.stalled += by;
        for event in self.router.inbox.take().unwrap_or_default() {
            self.router_event(event);
        }
        if by > Duration::from_secs(1) {
            self.router_event(Event::Stalled { by });
        }
        self.router_event(Event::Tick);
    }

    /// Delivers a message. What a closed connection carried arrives late or never; no connection outlives its router.
    pub(crate) fn deliver_to_router(&mut self, peer: Peer, messages: Vec<FromWorker>) {
        let is_of_an_earlier_router = peer <= self.router.last_old_peer;
        let is_lost = self.owner(peer).is_none() && self.random.chance(50);
        if is_of_an_earlier_router || is_lost {
            return;
        }
        messages.into_iter().for_each(|message| self.router_event(Event::Worker { peer, message }));
    }

    /// Reports a closed connection, if it is one of this router.
    pub(crate) fn disconnected(&mut self, peer: Peer) {
        if peer <= self.router.last_old_peer {
            return;
        }
        self.router_event(Event::Disconnected { peer });
    }

    pub(crate) fn router_tick(&mut self) {
        if self.router.tick_at.is_some_and(|at| at <= self.now) {
            self.router.tick_at = None;
            self.router_event(Event::Tick);
        }
    }

    /// Passes an event to the dispatcher and performs its actions.
    pub(crate) fn router_event(&mut self, event: Event) {
        if let Some(inbox) = &mut self.router.inbox {
            if !matches!(event, Event::Tick) {
                inbox.push(event);
            }
            return;
        }
        let Some(dispatch) = &mut self.router.dispatch else { return };
        self.checker.before(self.now, &event);
        let mut actions = Vec::new();
        dispatch.on(event, self.now, &mut actions);
        self.router.events += 1;
        let wake = dispatch.next_wake();
        for action in actions {
            self.perform(action);
        }
        self.schedule_tick(wake);
    }

    fn schedule_tick(&mut self, wake: Time) {
        // The real router's timer has a resolution of some milliseconds.
        let at = wake.max(self.now) + Duration::from_millis(5);
        if self.router.tick_at.is_none_or(|set| at < set) {
            self.router.tick_at = Some(at);
            self.schedule_at(at, SimEvent::RouterTick);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Answer { waiter, answer } => self.answered(waiter, &answer),
            Action::Count(counter) => self.checker.count(<&str>::from(counter)),
            Action::Send { peer, message } => self.send_to_worker(peer, &message),
        }
    }

    fn send_to_worker(&mut self, peer: Peer, message: &FromRouter) {
        self.checker.sent(self.now, self.router.epoch, peer, message, &self.workers);
        if self.router.outbox.is_empty() {
            let delay = self.random.millis(0, 2);
            self.schedule_in(delay, SimEvent::RouterFlushes);
        }
        self.router.outbox.push(peer, message);
    }

    /// Sends the messages in the outbox, as one batch for each worker that reads batches.
    pub(crate) fn router_flush(&mut self) {
        let Some(dispatch) = &self.router.dispatch else { return };
        let batches = self.router.outbox.take();
        let reads: Vec<bool> = batches.iter().map(|(peer, _)| dispatch.reads_batches(*peer)).collect();
        for ((peer, batch), reads_batches) in batches.into_iter().zip(reads) {
            let Some(index) = self.owner(peer) else {
                self.schedule_in(Duration::from_millis(1), SimEvent::Disconnected(peer));
                continue;
            };
            for frames in batch.messages(reads_batches) {
                let messages: Vec<_> = FromRouter::decode_each(frames.frames()).map(Result::unwrap).collect();
                if messages.len() > 1 {
                    self.checker.count("several messages of the router in one batch");
                }
                let at = self.workers[index].arrival(self.now + self.random.millis(1, 4));
                self.schedule_at(at, SimEvent::ToWorker(index, peer, messages));
            }
        }
    }
}
