//! The environment of a dispatcher: clients that wait, and workers that send anything.

mod check;
mod messages;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use trackyard_protocol::request::Tooling;
use trackyard_protocol::source::{ImageSource, ImageSourceKind, InputPolicy};
use trackyard_protocol::token::{Epoch, JobKey, Token};
use trackyard_protocol::version::PinnedVersion;
use trackyard_protocol::worker::FromRouter;
use trackyard_router::dispatch::{Action, Dispatch, Event, Peer, Settings, Time, Waiter};

/// Maximum number of ticks until a draining dispatcher must have answered every request.
const MAX_DRAIN_TICKS: usize = 20_000;
const CONNECTIONS: usize = 5;
const STORE_BYTES: usize = 64 << 10;

pub(crate) struct Harness {
    dispatch: Dispatch,
    now: Time,
    waiting: BTreeSet<Waiter>,
    waiters: u64,
    peers: Vec<Peer>,
    connections: u64,
    sent: Vec<(Token, JobKey)>,
    tokens: BTreeSet<Token>,
}

impl Harness {
    pub(crate) fn new() -> Self {
        Self {
            dispatch: Dispatch::new(Epoch(0xe), settings(), Time::ZERO),
            now: Time::ZERO,
            waiting: BTreeSet::new(),
            waiters: 0,
            peers: (0..).take(CONNECTIONS).map(Peer).collect(),
            connections: 100,
            sent: Vec::new(),
            tokens: BTreeSet::new(),
        }
    }

    /// Delivers an event and performs the actions as the router does.
    pub(crate) fn on(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.dispatch.on(event, self.now, &mut actions);
        for action in actions {
            match action {
                Action::Answer { waiter, .. } => {
                    assert!(
                        self.waiting.remove(&waiter),
                        "{waiter:?} gets an answer that it is_active not wait for"
                    );
                }
                Action::Send { peer, message } => {
                    assert!(self.peers.contains(&peer), "{peer:?} is closed");
                    let job = match &message {
                        FromRouter::Job(job) => (job.token, job.key),
                        FromRouter::Build(build) => (build.token, build.key),
                        _ => continue,
                    };
                    assert!(self.tokens.insert(job.0), "{} is used twice", job.0);
                    self.sent.push(job);
                }
                Action::Count(_) => {}
            }
        }
    }

    pub(crate) fn submit(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let job = messages::job(input)?;
        self.waiters += 1;
        let waiter = Waiter(self.waiters);
        self.waiting.insert(waiter);
        self.on(Event::Job { waiter, job: Box::new(job) });
        Ok(())
    }

    pub(crate) fn receive(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let peer = *input.choose(&self.peers)?;
        let message = messages::from_worker(input, &self.sent)?;
        self.on(Event::Worker { peer, message });
        Ok(())
    }

    /// Closes a connection. Its number is never used again.
    pub(crate) fn disconnect(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let at = input.choose_index(self.peers.len())?;
        self.connections += 1;
        let fresh = Peer(self.connections);
        if let Some(slot) = self.peers.get_mut(at) {
            let peer = std::mem::replace(slot, fresh);
            self.on(Event::Disconnected { peer });
        }
        Ok(())
    }

    /// Advances the time. What is due is done at its time.
    pub(crate) fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.dispatch.next_wake() < end {
            self.tick(self.dispatch.next_wake());
        }
        self.tick(end);
    }

    fn tick(&mut self, at: Time) {
        self.now = self.now.max(at);
        self.on(Event::Tick);
        assert!(self.dispatch.next_wake() > self.now, "what is due was not done: the router would spin");
    }

    pub(crate) fn versions(
        &self,
        input: &mut Unstructured<'_>,
    ) -> Result<BTreeMap<Tooling, Vec<PinnedVersion>>> {
        let mut versions = BTreeMap::new();
        for track in messages::TRACKS {
            let of_track = (0..input.int_in_range(0..=2)?).map(messages::version).collect();
            versions.insert(messages::tooling(track), of_track);
        }
        Ok(versions)
    }

    pub(crate) fn settings(&self, input: &mut Unstructured<'_>) -> Result<Settings> {
        let expected = if input.arbitrary()? { [messages::tooling("ruby")].into() } else { BTreeSet::new() };
        let queue_max_jobs = input.int_in_range(0..=9)?;
        Ok(Settings { expected, queue_max_jobs, ..settings() })
    }

    /// Checks that a draining router answers every request, whatever its workers do.
    pub(crate) fn finish(&mut self) {
        self.on(Event::Drain);
        for _ in 0..MAX_DRAIN_TICKS {
            if self.waiting.is_empty() {
                break;
            }
            self.tick(self.dispatch.next_wake());
        }
        assert!(self.waiting.is_empty(), "no answer for {:?}", self.waiting);
        self.check();
    }
}

fn settings() -> Settings {
    let location = "/images".to_owned();
    let images = ImageSource { kind: ImageSourceKind::Layout, location, repositories: BTreeMap::new() };
    Settings { queue_max_jobs: 8, store_bytes: STORE_BYTES, ..Settings::new(images, InputPolicy::default()) }
}
