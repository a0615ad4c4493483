//! The world: what happens when. The parts are in `router`, `client`, `worker` and `fault`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use trackyard_protocol::token::{JobKey, Token};
use trackyard_protocol::worker::{FromRouter, FromWorker};
use trackyard_router::dispatch::{Peer, Sabotage, Time};

use crate::check::Checker;
use crate::client::{Clients, Request};
use crate::fault::Fault;
use crate::random::Random;
use crate::router::Router;
use crate::worker::Worker;

/// Something that will happen.
pub(crate) enum Happening {
    /// A client sends its next job.
    NextJob,
    /// A client sends a job again.
    Resend(Request),
    /// What a worker said leaves it.
    Departs(usize),
    /// What the router said leaves it.
    RouterDeparts,
    /// A worker's message reaches the router.
    ToRouter(Peer, Vec<FromWorker>),
    /// A router's message reaches a worker.
    ToWorker(usize, Peer, Vec<FromRouter>),
    /// Time passes for the router.
    RouterTick,
    /// The router is there again, or goes on after a stall.
    RouterUp,
    RouterGoesOn(Duration),
    /// The router learns that a connection is dead.
    Gone(Peer),
    /// A worker's heartbeat is due.
    Beat(usize),
    /// A job's container ends.
    JobEnds(usize, u64, Token),
    /// A cancelled job's container is gone.
    CancelEnds(usize, u64, Token),
    /// A worker has a version ready, or failed it.
    Prepared(usize, u64, usize, usize),
    WorkerUp(usize),
    Thaw(usize),
    Reconnect(usize),
    Trouble(Fault),
    NextTrouble,
}

/// How a run went.
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) events: usize,
    pub(crate) violations: Vec<String>,
    pub(crate) seen: BTreeMap<String, usize>,
}

impl Report {
    /// How often this happened.
    pub(crate) fn saw(&self, what: &str) -> usize {
        self.seen.get(what).copied().unwrap_or_default()
    }
}

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) now: Time,
    pub(crate) random: Random,
    pub(crate) router: Router,
    pub(crate) workers: Vec<Worker>,
    pub(crate) clients: Clients,
    pub(crate) check: Checker,
    pub(crate) trouble_until: Time,
    queue: BinaryHeap<Reverse<(Time, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    number: u64,
    next_peer: u64,
}

impl World {
    pub(crate) fn new(seed: u64, sabotage: Option<Sabotage>) -> Self {
        let mut random = Random::new(seed);
        let mut world = Self {
            seed,
            now: Time::ZERO,
            router: Router::new(&mut random, sabotage),
            workers: Worker::fleet(),
            clients: Clients::default(),
            check: Checker::default(),
            trouble_until: Time::ZERO,
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            number: 0,
            next_peer: 0,
            random,
        };
        world.later(Duration::ZERO, Happening::RouterUp);
        for index in 0..world.workers.len() {
            world.later(Duration::from_millis(1), Happening::WorkerUp(index));
        }
        world
    }

    /// Lets jobs come and trouble happen for so long, heals the world, and waits until all is quiet.
    pub(crate) fn run(mut self, seconds: u64) -> Report {
        self.trouble_until = Duration::from_secs(seconds);
        self.later(Duration::from_millis(10), Happening::NextJob);
        self.later(Duration::from_secs(4), Happening::NextTrouble);
        // Long enough for the last job's deadline, and then for every stored answer to expire.
        let end = self.trouble_until + Duration::from_secs(180);
        while let Some(happening) = self.next(end) {
            self.happen(happening);
        }
        if self.check.violations.is_empty() {
            self.check_rest();
        }
        Report {
            seed: self.seed,
            events: self.router.events,
            violations: self.check.violations,
            seen: self.check.seen,
        }
    }

    fn next(&mut self, end: Time) -> Option<Happening> {
        let Reverse((at, number)) = self.queue.pop()?;
        if at > end || self.check.violations.len() > 2 {
            return None;
        }
        self.now = at;
        self.happenings.remove(&number)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::NextJob => self.next_job(),
            Happening::Resend(request) => self.resend(request),
            Happening::Departs(index) => self.depart(index),
            Happening::RouterDeparts => self.router_departs(),
            Happening::ToRouter(peer, words) => self.reach_router(peer, words),
            Happening::ToWorker(index, peer, words) => self.reach_worker(index, peer, words),
            Happening::RouterTick => self.router_tick(),
            Happening::RouterUp => self.router_up(),
            Happening::RouterGoesOn(by) => self.router_goes_on(by),
            Happening::Gone(peer) => self.gone(peer),
            Happening::Beat(index) => self.worker_beat(index),
            Happening::JobEnds(index, incarnation, token) => self.job_ends(index, incarnation, token),
            Happening::CancelEnds(index, incarnation, token) => self.cancel_ends(index, incarnation, token),
            Happening::Prepared(index, incarnation, track, version) => {
                self.prepared(index, incarnation, track, version);
            }
            Happening::WorkerUp(index) => self.worker_up(index),
            Happening::Thaw(index) => self.thaw(index),
            Happening::Reconnect(index) => self.reconnect(index),
            Happening::Trouble(fault) => self.trouble(fault),
            Happening::NextTrouble => self.next_trouble(),
        }
    }

    pub(crate) fn later(&mut self, after: Duration, happening: Happening) {
        self.at(self.now + after, happening);
    }

    pub(crate) fn at(&mut self, at: Time, happening: Happening) {
        self.number += 1;
        self.queue.push(Reverse((at, self.number)));
        self.happenings.insert(self.number, happening);
    }

    pub(crate) fn new_peer(&mut self) -> Peer {
        self.next_peer += 1;
        Peer(self.next_peer)
    }

    /// Whose connection this is, if it is alive.
    pub(crate) fn owner(&self, peer: Peer) -> Option<usize> {
        self.workers.iter().position(|worker| worker.peer == Some(peer))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.now >= self.trouble_until
    }

    /// At the end nothing may be left anywhere.
    fn check_rest(&mut self) {
        let snapshot = self.router.snapshot();
        let totals = snapshot.totals;
        let left = [totals.jobs, totals.waiting, totals.waiting_bytes, totals.attempts, totals.waiters];
        let more = [totals.away, totals.stored, totals.stored_bytes, totals.poisoned];
        if left.iter().chain(&more).any(|count| *count > 0) {
            self.check.fail(self.now, format!("something is left at the end: {totals:?}"));
        }
        for view in snapshot.workers.iter().filter(|view| view.busy > 0 || !view.jobs.is_empty()) {
            self.check.fail(self.now, format!("{} slots filled of idle {}", view.busy, view.name));
        }
        if snapshot.workers.len() != self.workers.len() {
            self.check.fail(self.now, format!("{} workers are known", snapshot.workers.len()));
        }
        for worker in &self.workers {
            for (token, held) in &worker.held {
                let what = if held.running { "runs for ever" } else { "was never acknowledged" };
                self.check.fail(self.now, format!("{token} on {} {what}", worker.name));
            }
        }
        let unanswered: Vec<JobKey> = self.clients.waiting.values().map(|request| request.plan.key).collect();
        for key in unanswered {
            self.check.fail(self.now, format!("no answer for {key}"));
        }
    }
}
