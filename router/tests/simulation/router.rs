//! The router around the dispatcher: it dies, starts again with another epoch, and stands still at times.

use std::collections::BTreeMap;
use std::time::Duration;

use trackyard_protocol::source::{ImageSource, ImageSourceKind, InputPolicy};
use trackyard_protocol::token::Epoch;
use trackyard_protocol::worker::{FromRouter, FromWorker};
use trackyard_router::dispatch::{
    Action, Deployment, Dispatch, Event, Peer, Sabotage, Settings, Snapshot, Time,
};
use trackyard_router::service::Batches;

use crate::plan::{TRACKS, VERSIONS, place, version};
use crate::random::Random;
use crate::world::{Happening, World};

pub(crate) struct Router {
    pub(crate) dispatch: Option<Dispatch>,
    pub(crate) events: usize,
    /// How long it stood still, all stalls together.
    pub(crate) stalled: Duration,
    pub(crate) epoch: Epoch,
    /// The last connection to the router before this.
    peers_before: Peer,
    /// What is not deployed at the moment.
    pub(crate) unloaded: Option<(usize, usize)>,
    sabotage: Option<Sabotage>,
    /// Events that came while it stood still.
    inbox: Option<Vec<Event>>,
    tick_at: Option<Time>,
    /// What it wants said at the end of its turn.
    said: Batches,
}

impl Router {
    pub(crate) fn new(random: &mut Random, sabotage: Option<Sabotage>) -> Self {
        Self {
            dispatch: None,
            events: 0,
            stalled: Duration::ZERO,
            epoch: Epoch(random.next()),
            peers_before: Peer(0),
            unloaded: None,
            sabotage,
            inbox: None,
            tick_at: None,
            said: Batches::default(),
        }
    }

    pub(crate) fn is_still(&self) -> bool {
        self.inbox.is_some()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.dispatch.as_ref().unwrap().snapshot()
    }

    pub(crate) fn deployment(&self) -> Deployment {
        let versions = |track| {
            let all = (0..VERSIONS).filter(move |version| self.unloaded != Some((track, *version)));
            all.map(version).collect()
        };
        Deployment((0..TRACKS.len()).map(|track| (place(track), versions(track))).collect::<BTreeMap<_, _>>())
    }
}

fn settings() -> Settings {
    let images = ImageSource {
        kind: ImageSourceKind::Layout,
        location: "/images".to_owned(),
        repositories: BTreeMap::new(),
    };
    // Shorter than in earnest, so that time-outs happen often.
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

impl World {
    pub(crate) fn router_up(&mut self) {
        self.router.epoch = Epoch(self.random.next());
        let (epoch, now) = (self.router.epoch, self.now);
        self.router.dispatch = Some(match self.router.sabotage {
            Some(fault) => Dispatch::sabotaged(epoch, settings(), now, fault),
            None => Dispatch::new(epoch, settings(), now),
        });
        self.router.tick_at = None;
        self.router.peers_before = self.new_peer();
        self.check.router_started(now);
        // The deployed versions may be known late.
        let deployment = self.router.deployment();
        self.router_event(Event::Deployed(deployment));
        for index in 0..self.workers.len() {
            let pause = self.random.millis(20, 500);
            self.later(pause, Happening::Reconnect(index));
        }
    }

    pub(crate) fn router_down(&mut self) {
        if self.router.is_still() || self.router.dispatch.take().is_none() {
            return;
        }
        self.check.saw("router restarts");
        self.router.said = Batches::default();
        for worker in &mut self.workers {
            worker.peer = None;
        }
        self.all_ask_again();
        let pause = self.random.millis(50, 2500);
        self.later(pause, Happening::RouterUp);
    }

    pub(crate) fn stand_still(&mut self, span: Duration) {
        if self.router.dispatch.is_some() && !self.router.is_still() {
            self.check.saw("stalls");
            self.router.inbox = Some(Vec::new());
            self.later(span, Happening::RouterGoesOn(span));
        }
    }

    /// What came meanwhile is read first, then the stall is told, then time passes.
    pub(crate) fn router_goes_on(&mut self, by: Duration) {
        self.router.stalled += by;
        for event in self.router.inbox.take().unwrap_or_default() {
            self.router_event(event);
        }
        if by > Duration::from_secs(1) {
            self.router_event(Event::Stalled { by });
        }
        self.router_event(Event::Tick);
    }

    /// What a connection carried when it closed arrives late or never; no connection outlives its router.
    pub(crate) fn reach_router(&mut self, peer: Peer, words: Vec<FromWorker>) {
        let of_an_earlier_router = peer <= self.router.peers_before;
        let lost = self.owner(peer).is_none() && self.random.chance(50);
        if of_an_earlier_router || lost {
            return;
        }
        words.into_iter().for_each(|message| self.router_event(Event::Worker { peer, message }));
    }

    /// No connection outlives its router.
    pub(crate) fn gone(&mut self, peer: Peer) {
        if peer <= self.router.peers_before {
            return;
        }
        self.router_event(Event::Gone { peer });
    }

    pub(crate) fn router_tick(&mut self) {
        if self.router.tick_at.is_some_and(|at| at <= self.now) {
            self.router.tick_at = None;
            self.router_event(Event::Tick);
        }
    }

    /// Gives an event to the dispatcher and does what it wants.
    pub(crate) fn router_event(&mut self, event: Event) {
        if let Some(inbox) = &mut self.router.inbox {
            if !matches!(event, Event::Tick) {
                inbox.push(event);
            }
            return;
        }
        let Some(dispatch) = &mut self.router.dispatch else { return };
        self.check.before(self.now, &event);
        let mut actions = Vec::new();
        dispatch.on(event, self.now, &mut actions);
        self.router.events += 1;
        let wake = dispatch.next_wake();
        for action in actions {
            self.act(action);
        }
        self.wake_router(wake);
    }

    fn wake_router(&mut self, wake: Time) {
        // The edge's timer has steps of some milliseconds.
        let at = wake.max(self.now) + Duration::from_millis(5);
        if self.router.tick_at.is_none_or(|set| at < set) {
            self.router.tick_at = Some(at);
            self.at(at, Happening::RouterTick);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Answer { waiter, answer } => self.answered(waiter, &answer),
            Action::Count(counter) => self.check.saw(<&str>::from(counter)),
            Action::Send { peer, message } => self.send_to_worker(peer, &message),
        }
    }

    fn send_to_worker(&mut self, peer: Peer, message: &FromRouter) {
        self.check.sent(self.now, self.router.epoch, peer, message, &self.workers);
        if self.router.said.is_empty() {
            let pause = self.random.millis(0, 2);
            self.later(pause, Happening::RouterDeparts);
        }
        self.router.said.push(peer, message);
    }

    /// The turn is over: what was said leaves, for each worker as one message if it reads batches.
    pub(crate) fn router_departs(&mut self) {
        let Some(dispatch) = &self.router.dispatch else { return };
        let batches = self.router.said.take();
        let reads: Vec<bool> = batches.iter().map(|(peer, _)| dispatch.reads_batches(*peer)).collect();
        for ((peer, batch), reads_batches) in batches.into_iter().zip(reads) {
            let Some(index) = self.owner(peer) else {
                self.later(Duration::from_millis(1), Happening::Gone(peer));
                continue;
            };
            for message in batch.messages(reads_batches) {
                let words: Vec<_> = FromRouter::decode_each(message.frames()).map(Result::unwrap).collect();
                if words.len() > 1 {
                    self.check.saw("several words of the router in one message");
                }
                let at = self.workers[index].arrival(self.now + self.random.millis(1, 4));
                self.at(at, Happening::ToWorker(index, peer, words));
            }
        }
    }
}
