//! The event queue of the simulation. Its parts are in `router`, `client`, `worker` and `faults`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use trackyard_protocol::token::{JobKey, Token};
use trackyard_protocol::worker::{FromRouter, FromWorker};
use trackyard_router::dispatch::{Peer, PlantedFault, Time};

use crate::checker::Checker;
use crate::client::{Clients, Request};
use crate::faults::Fault;
use crate::random::Random;
use crate::router::Router;
use crate::worker::Worker;

/// A scheduled event.
pub(crate) enum SimEvent {
    /// A client sends its next job.
    NextJob,
    /// A client sends a job again.
    Resend(Request),
    /// A worker sends the messages in its outbox.
    WorkerFlushes(usize),
    /// The router sends the messages in its outbox.
    RouterFlushes,
    /// Messages of a worker reach the router.
    ToRouter(Peer, Vec<FromWorker>),
    /// Messages of the router reach a worker.
    ToWorker(usize, Peer, Vec<FromRouter>),
    /// The router's timer fires.
    RouterTick,
    /// The router starts.
    RouterUp,
    /// The router continues after a stall.
    RouterResumes(Duration),
    /// The router notices a closed connection.
    Disconnected(Peer),
    /// A worker's heartbeat is due.
    WorkerHeartbeat(usize),
    /// A job's container ends.
    JobEnds(usize, u64, Token),
    /// A cancelled job's container has ended.
    CancelEnds(usize, u64, Token),
    /// A worker has a version ready, or has failed to prepare it.
    Prepared(usize, u64, usize, usize),
    WorkerUp(usize),
    Thaw(usize),
    Reconnect(usize),
    Fault(Fault),
    NextFault,
}

/// The result of a run.
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) events: usize,
    pub(crate) violations: Vec<String>,
    pub(crate) counts: BTreeMap<String, usize>,
}

impl Report {
    /// Returns how often something occurred.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.counts.get(what).copied().unwrap_or_default()
    }
}

pub(crate) struct Simulation {
    pub(crate) seed: u64,
    pub(crate) now: Time,
    pub(crate) random: Random,
    pub(crate) router: Router,
    pub(crate) workers: Vec<Worker>,
    pub(crate) clients: Clients,
    pub(crate) checker: Checker,
    pub(crate) faults_until: Time,
    queue: BinaryHeap<Reverse<(Time, u64)>>,
    events: BTreeMap<u64, SimEvent>,
    number: u64,
    next_peer: u64,
}

impl Simulation {
    pub(crate) fn new(seed: u64, fault: Option<PlantedFault>) -> Self {
        let mut random = Random::new(seed);
        let mut world = Self {
            seed,
            now: Time::ZERO,
            router: Router::new(&mut random, fault),
            workers: Worker::fleet(),
            clients: Clients::default(),
            checker: Checker::default(),
            faults_until: Time::ZERO,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            number: 0,
            next_peer: 0,
            random,
        };
        world.schedule_in(Duration::ZERO, SimEvent::RouterUp);
        for index in 0..world.workers.len() {
            world.schedule_in(Duration::from_millis(1), SimEvent::WorkerUp(index));
        }
        world
    }

    /// Runs jobs and faults for some seconds, then without faults until everything has come to rest.
    pub(crate) fn run(mut self, seconds: u64) -> Report {
        self.faults_until = Duration::from_secs(seconds);
        self.schedule_in(Duration::from_millis(10), SimEvent::NextJob);
        self.schedule_in(Duration::from_secs(4), SimEvent::NextFault);
        // Long enough for the last job's deadline, and then for every stored answer to expire.
        let end = self.faults_until + Duration::from_secs(180);
        while let Some(event) = self.next(end) {
            self.run_event(event);
        }
        if self.checker.violations.is_empty() {
            self.check_rest();
        }
        Report {
            seed: self.seed,
            events: self.router.events,
            violations: self.checker.violations,
            counts: self.checker.counts,
        }
    }

    fn next(&mut self, end: Time) -> Option<SimEvent> {
        let Reverse((at, number)) = self.queue.pop()?;
        if at > end || self.checker.violations.len() > 2 {
            return None;
        }
        self.now = at;
        self.events.remove(&number)
    }

    fn run_event(&mut self, event: SimEvent) {
        match event {
            SimEvent::NextJob => self.next_job(),
            SimEvent::Resend(request) => self.resend(request),
            SimEvent::WorkerFlushes(index) => self.flush(index),
            SimEvent::RouterFlushes => self.router_flush(),
            SimEvent::ToRouter(peer, messages) => self.deliver_to_router(peer, messages),
            SimEvent::ToWorker(index, peer, messages) => self.deliver_to_worker(index, peer, messages),
            SimEvent::RouterTick => self.router_tick(),
            SimEvent::RouterUp => self.router_up(),
            SimEvent::RouterResumes(by) => self.router_resumes(by),
            SimEvent::Disconnected(peer) => self.disconnected(peer),
            SimEvent::WorkerHeartbeat(index) => self.worker_heartbeat(index),
            SimEvent::JobEnds(index, incarnation, token) => self.job_ends(index, incarnation, token),
            SimEvent::CancelEnds(index, incarnation, token) => self.cancel_ends(index, incarnation, token),
            SimEvent::Prepared(index, incarnation, track, version) => {
                self.prepared(index, incarnation, track, version);
            }
            SimEvent::WorkerUp(index) => self.worker_up(index),
            SimEvent::Thaw(index) => self.thaw(index),
            SimEvent::Reconnect(index) => self.reconnect(index),
            SimEvent::Fault(fault) => self.inject(fault),
            SimEvent::NextFault => self.next_fault(),
        }
    }

    pub(crate) fn schedule_in(&mut self, after: Duration, event: SimEvent) {
        self.schedule_at(self.now + after, event);
    }

    pub(crate) fn schedule_at(&mut self, at: Time, event: SimEvent) {
        self.number += 1;
        self.queue.push(Reverse((at, self.number)));
        self.events.insert(self.number, event);
    }

    pub(crate) fn new_peer(&mut self) -> Peer {
        self.next_peer += 1;
        Peer(self.next_peer)
    }

    /// Returns the worker of an open connection.
    pub(crate) fn owner(&self, peer: Peer) -> Option<usize> {
        self.workers.iter().position(|worker| worker.peer == Some(peer))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.now >= self.faults_until
    }

    /// Checks that nothing is left at the end.
    fn check_rest(&mut self) {
        let snapshot = self.router.snapshot();
        let totals = snapshot.totals;
        let held = [totals.jobs, totals.waiting, totals.waiting_bytes, totals.attempts, totals.waiters];
        let kept = [totals.away, totals.stored, totals.stored_bytes, totals.poisoned];
        if held.iter().chain(&kept).any(|count| *count > 0) {
            self.checker.fail(self.now, format!("something is left at the end: {totals:?}"));
        }
        for view in snapshot.workers.iter().filter(|view| view.busy > 0 || !view.jobs.is_empty()) {
            self.checker.fail(self.now, format!("{} slots filled of idle {}", view.busy, view.name));
        }
        if snapshot.workers.len() != self.workers.len() {
            self.checker.fail(self.now, format!("{} workers are known", snapshot.workers.len()));
        }
        for worker in &self.workers {
            for (token, held) in &worker.held {
                let what = if held.running { "runs forever" } else { "was never acknowledged" };
                self.checker.fail(self.now, format!("{token} on {} {what}", worker.name));
            }
        }
        let unanswered: Vec<JobKey> = self.clients.waiting.values().map(|request| request.plan.key).collect();
        for key in unanswered {
            self.checker.fail(self.now, format!("no answer for {key}"));
        }
    }
}
