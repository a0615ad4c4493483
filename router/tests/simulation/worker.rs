//! The worker's side of the protocol: what a real worker does, with simulated containers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use trackyard_protocol::channel::{Channel, Topic, Topics};
use trackyard_protocol::name::WorkerName;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::token::{Epoch, Incarnation, JobKey, Token};
use trackyard_protocol::worker::{
    Accepted, AfterDrain, BATCHES_SINCE, Batch, FromRouter, FromWorker, HeldJob, HeldState, Hello, Job,
    JobResult, Load, PROTOCOL, Returned, TrackVersion, Usage, Verdict, VersionFailed,
};
use trackyard_router::dispatch::{Peer, Time};

use crate::plan::{JobBehavior, TRACKS, VERSIONS, behavior_of, track, version};
use crate::simulation::{SimEvent, Simulation};

pub(crate) struct Held {
    pub(crate) key: JobKey,
    /// If false, its result waits for an acknowledgement.
    pub(crate) running: bool,
    pub(crate) reason: Reason,
}

pub(crate) struct Worker {
    pub(crate) name: WorkerName,
    channel: Channel,
    topics: Topics,
    slots: u32,
    pub(crate) incarnation: u64,
    pub(crate) alive: bool,
    pub(crate) frozen_until: Time,
    /// The open connection.
    pub(crate) peer: Option<Peer>,
    /// The oldest connection of the socket. Messages on an earlier one are lost.
    socket_since: Peer,
    /// The version of the protocol that it speaks.
    protocol: u32,
    /// Messages that leave at the next flush.
    outbox: Vec<FromWorker>,
    /// True if the next flush is scheduled.
    flush_scheduled: bool,
    /// True once a router that reads batches has welcomed it.
    sends_batches: bool,
    hello_due: bool,
    last_heard: Time,
    last_arrival: Time,
    last_departure: Time,
    pub(crate) held: BTreeMap<Token, Held>,
    ready: BTreeSet<(usize, usize)>,
    desired: BTreeSet<(usize, usize)>,
    bootstrap: Option<Epoch>,
    draining: Option<AfterDrain>,
}

impl Worker {
    pub(crate) fn fleet() -> Vec<Self> {
        let topics =
            |names: &[&str]| names.iter().map(|name| name.parse::<Topic>().unwrap()).collect::<Topics>();
        vec![
            Self::new("ruby-1", topics(&["ruby"]), 4),
            Self { protocol: 1, ..Self::new("ruby-2", topics(&["ruby"]), 4) },
            Self::new("snakes", topics(&["python", "csharp"]), 2),
            Self::new("any-1", Topics::any(), 5),
            Self::new("any-2", Topics::any(), 5),
            Self { channel: Channel::Builders, ..Self::new("builder-1", Topics::any(), 2) },
            Self { channel: Channel::Builders, ..Self::new("builder-2", topics(&["ruby"]), 1) },
        ]
    }

    fn new(name: &str, topics: Topics, slots: u32) -> Self {
        Self {
            name: WorkerName::new(name).unwrap(),
            channel: Channel::TestRunners,
            topics,
            slots,
            incarnation: 0,
            alive: false,
            frozen_until: Time::ZERO,
            peer: None,
            socket_since: Peer(0),
            protocol: PROTOCOL,
            outbox: Vec::new(),
            flush_scheduled: false,
            sends_batches: false,
            hello_due: false,
            last_heard: Time::ZERO,
            last_arrival: Time::ZERO,
            last_departure: Time::ZERO,
            held: BTreeMap::new(),
            ready: BTreeSet::new(),
            desired: BTreeSet::new(),
            bootstrap: None,
            draining: None,
        }
    }

    pub(crate) fn is_generic(&self) -> bool {
        self.topics.is_generic()
    }

    /// Returns when a message arrives: not before those that were sent earlier.
    pub(crate) fn arrival(&mut self, at: Time) -> Time {
        self.last_arrival = self.last_arrival.max(at);
        self.last_arrival
    }

    fn running(&self) -> usize {
        self.held.values().filter(|held| held.running).count()
    }

    fn hello(&self) -> FromWorker {
        let held = |(token, held): (&Token, &Held)| HeldJob {
            token: *token,
            key: held.key,
            state: if held.running { HeldState::Running } else { HeldState::Finished },
        };
        FromWorker::Hello(Box::new(Hello {
            protocol: self.protocol,
            name: self.name.clone(),
            incarnation: Incarnation(self.incarnation),
            pool: None,
            channel: self.channel,
            topics: self.topics.clone(),
            slots: self.slots,
            versions: self.ready.iter().map(|(track, version)| pinned(*track, *version)).collect(),
            jobs: self.held.iter().map(held).collect(),
            bootstrap: self.bootstrap,
            draining: self.draining.is_some(),
            release: String::new(),
        }))
    }
}

fn pinned(of: usize, number: usize) -> TrackVersion {
    TrackVersion { track: track(of), version: version(number) }
}

pub(crate) fn result(token: Token, key: JobKey, reason: Reason) -> FromWorker {
    FromWorker::Result(Box::new(JobResult {
        token,
        key,
        verdict: Verdict::new(reason, ""),
        usage: Usage::default(),
        response: key.to_string().into_bytes(),
        context: b"{}".to_vec(),
    }))
}

impl Simulation {
    pub(crate) fn worker_up(&mut self, index: usize) {
        if self.workers[index].alive {
            return;
        }
        let incarnation = self.random.next();
        let keeps_cache = self.random.chance(50);
        let worker = &mut self.workers[index];
        worker.incarnation = incarnation;
        worker.alive = true;
        worker.hello_due = true;
        worker.last_heard = self.now;
        if !keeps_cache {
            worker.ready.clear();
        }
        self.schedule_in(Duration::from_millis(5), SimEvent::Reconnect(index));
        self.schedule_in(Duration::from_secs(1), SimEvent::WorkerHeartbeat(index));
    }

    /// Ends the worker's process, with everything that it held.
    pub(crate) fn kill_worker(&mut self, index: usize) {
        self.disconnect(index);
        let worker = &mut self.workers[index];
        worker.alive = false;
        worker.frozen_until = Time::ZERO;
        worker.held.clear();
        worker.outbox.clear();
        worker.desired.clear();
        worker.bootstrap = None;
        worker.draining = None;
        let delay = self.random.millis(200, 6000);
        self.schedule_in(delay, SimEvent::WorkerUp(index));
    }

    /// Closes the connection. The router notices a moment later.
    pub(crate) fn disconnect(&mut self, index: usize) {
        if let Some(peer) = self.workers[index].peer.take() {
            let delay = self.random.millis(1, 20);
            self.schedule_in(delay, SimEvent::Disconnected(peer));
        }
    }

    fn is_frozen(&self, index: usize) -> bool {
        self.now < self.workers[index].frozen_until
    }

    /// Defers an event of a frozen worker until it thaws. Returns the event if the worker is not frozen.
    fn defer_if_frozen(&mut self, index: usize, event: SimEvent) -> Option<SimEvent> {
        if self.is_frozen(index) {
            self.schedule_at(self.workers[index].frozen_until, event);
            return None;
        }
        Some(event)
    }

    pub(crate) fn thaw(&mut self, index: usize) {
        self.reconnect(index);
    }

    /// Connects again. The socket does that by itself, even if the worker did not notice the loss.
    pub(crate) fn reconnect(&mut self, index: usize) {
        if self.defer_if_frozen(index, SimEvent::Reconnect(index)).is_none() {
            return;
        }
        let is_up = self.router.dispatch.is_some();
        if !is_up || !self.workers[index].alive || self.workers[index].peer.is_some() {
            return;
        }
        let peer = self.new_peer();
        let worker = &mut self.workers[index];
        worker.peer = Some(peer);
        if worker.hello_due {
            worker.socket_since = peer;
            worker.outbox.clear();
            return self.send_hello(index);
        }
        self.schedule_flush(index);
    }

    /// Sends a hello with the jobs that it holds, then each result that was not acknowledged.
    pub(crate) fn send_hello(&mut self, index: usize) {
        self.workers[index].hello_due = false;
        self.workers[index].sends_batches = false;
        let hello = self.workers[index].hello();
        self.send(index, hello);
        let held = self.workers[index].held.iter().filter(|(_, held)| !held.running);
        let results: Vec<_> = held.map(|(token, held)| result(*token, held.key, held.reason)).collect();
        for result in results {
            self.send(index, result);
        }
    }

    /// Puts a message into the outbox. Messages within a moment leave together.
    pub(crate) fn send(&mut self, index: usize, message: FromWorker) {
        self.workers[index].outbox.push(message);
        self.schedule_flush(index);
    }

    fn schedule_flush(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        if worker.peer.is_some() && !worker.outbox.is_empty() && !worker.flush_scheduled {
            worker.flush_scheduled = true;
            let delay = self.random.millis(0, 3);
            self.schedule_in(delay, SimEvent::WorkerFlushes(index));
        }
    }

    /// Sends the messages in the outbox on the open connection, as one batch if both sides read batches.
    pub(crate) fn flush(&mut self, index: usize) {
        let latency = self.random.millis(1, 4);
        let worker = &mut self.workers[index];
        worker.flush_scheduled = false;
        let Some(peer) = worker.peer else { return };
        let outbox = std::mem::take(&mut worker.outbox);
        worker.last_departure = worker.last_departure.max(self.now + latency);
        let at = worker.last_departure;
        if worker.sends_batches && outbox.len() > 1 {
            self.checker.count("several messages of a worker in one batch");
            return self.schedule_at(at, SimEvent::ToRouter(peer, through_one_batch(&outbox)));
        }
        for message in outbox {
            self.schedule_at(at, SimEvent::ToRouter(peer, vec![message]));
        }
    }

    pub(crate) fn worker_heartbeat(&mut self, index: usize) {
        if self.defer_if_frozen(index, SimEvent::WorkerHeartbeat(index)).is_none()
            || !self.workers[index].alive
        {
            return;
        }
        self.schedule_in(Duration::from_secs(1), SimEvent::WorkerHeartbeat(index));
        if self.now >= self.workers[index].last_heard + Duration::from_secs(3) {
            self.disconnect(index);
            self.workers[index].last_heard = self.now;
            self.workers[index].hello_due = true;
            return self.schedule_in(Duration::from_millis(20), SimEvent::Reconnect(index));
        }
        if !self.workers[index].hello_due {
            let busy = u32::try_from(self.workers[index].running()).unwrap();
            self.send(index, FromWorker::Heartbeat(Load { busy }));
        }
    }

    /// Delivers a batch: all its messages arrive, or none.
    pub(crate) fn deliver_to_worker(&mut self, index: usize, peer: Peer, messages: Vec<FromRouter>) {
        let event = SimEvent::ToWorker(index, peer, messages);
        let Some(SimEvent::ToWorker(_, _, messages)) = self.defer_if_frozen(index, event) else { return };
        let worker = &self.workers[index];
        let is_lost = worker.peer != Some(peer) && self.random.chance(50);
        if peer < worker.socket_since || is_lost {
            return;
        }
        for message in messages {
            // One of the messages may have ended the worker.
            if self.workers[index].alive {
                self.on_message(index, message);
            }
        }
    }

    fn on_message(&mut self, index: usize, message: FromRouter) {
        let worker = &mut self.workers[index];
        worker.last_heard = self.now;
        match message {
            FromRouter::Welcome(welcome) => {
                worker.sends_batches = worker.protocol.min(welcome.protocol) >= BATCHES_SINCE;
                worker.bootstrap.get_or_insert(welcome.epoch);
                self.on_desired(index, &welcome.desired);
            }
            FromRouter::Desired(desired) => self.on_desired(index, &desired.versions),
            FromRouter::Job(job) => {
                let ready = worker.ready.iter().any(|(t, v)| pinned(*t, *v) == version_of(&job));
                self.on_job(index, job.token, job.key, ready);
            }
            FromRouter::Build(build) => self.on_job(index, build.token, build.key, true),
            FromRouter::Ack(ack) => {
                worker.held.retain(|token, held| *token != ack.token || held.running);
                self.finish_drain(index);
            }
            FromRouter::Cancel(cancel) => {
                let delay = self.random.millis(1, 100);
                let incarnation = self.workers[index].incarnation;
                self.schedule_in(delay, SimEvent::CancelEnds(index, incarnation, cancel.token));
            }
            FromRouter::Drain(drain) => self.drain_worker(index, drain.then),
            FromRouter::Heartbeat => {}
            FromRouter::SayHello => self.send_hello(index),
        }
    }

    fn on_desired(&mut self, index: usize, versions: &[TrackVersion]) {
        let all = (0..TRACKS.len()).flat_map(|track| (0..VERSIONS).map(move |version| (track, version)));
        let desired: BTreeSet<_> = all.filter(|(t, v)| versions.contains(&pinned(*t, *v))).collect();
        let incarnation = self.workers[index].incarnation;
        for (track, version) in &desired {
            if !self.workers[index].ready.contains(&(*track, *version)) {
                let delay = self.random.millis(10, 300);
                self.schedule_in(delay, SimEvent::Prepared(index, incarnation, *track, *version));
            }
        }
        let removed: Vec<_> = self.workers[index].ready.difference(&desired).copied().collect();
        for (track, version) in removed {
            self.workers[index].ready.remove(&(track, version));
            self.send(index, FromWorker::Unready(pinned(track, version)));
        }
        self.workers[index].desired = desired;
    }

    pub(crate) fn prepared(&mut self, index: usize, incarnation: u64, track: usize, version: usize) {
        let event = SimEvent::Prepared(index, incarnation, track, version);
        if self.defer_if_frozen(index, event).is_none() || !self.is_current(index, incarnation) {
            return;
        }
        let worker = &mut self.workers[index];
        if !worker.desired.contains(&(track, version)) || worker.ready.contains(&(track, version)) {
            return;
        }
        // One version does not exist in the registry; any other may need a second try.
        let is_missing = (track, version) == (3, 1);
        if is_missing || self.random.chance(5) {
            let reason = "pull_failed".to_owned();
            let message = "no such manifest".to_owned();
            let failed = VersionFailed {
                version: pinned(track, version),
                reason,
                status_code: 511,
                message,
                retrying: !is_missing,
            };
            self.send(index, FromWorker::Failed(failed.into()));
            if !is_missing {
                let delay = self.random.millis(100, 500);
                self.schedule_in(delay, SimEvent::Prepared(index, incarnation, track, version));
            }
            return;
        }
        worker.ready.insert((track, version));
        self.send(index, FromWorker::Ready(pinned(track, version)));
    }

    fn is_current(&self, index: usize, incarnation: u64) -> bool {
        self.workers[index].alive && self.workers[index].incarnation == incarnation
    }

    fn on_job(&mut self, index: usize, token: Token, key: JobKey, ready: bool) {
        let worker = &self.workers[index];
        if worker.draining.is_some() || !ready {
            let why = if ready { "draining" } else { "not_unpacked" }.to_owned();
            return self.send(index, FromWorker::Returned(Returned { token, why }));
        }
        if worker.running() >= usize::try_from(worker.slots).unwrap() {
            self.checker.fail(self.now, format!("{} got a job without a free slot", worker.name));
        }
        self.send(index, FromWorker::Accepted(Accepted { token }));
        let (duration, reason) = match behavior_of(key) {
            JobBehavior::Ends(duration, reason) => (duration, reason),
            JobBehavior::KillsWorker(duration) => (duration, Reason::Killed),
        };
        let held = Held { key, running: true, reason };
        self.workers[index].held.insert(token, held);
        let incarnation = self.workers[index].incarnation;
        self.schedule_in(duration, SimEvent::JobEnds(index, incarnation, token));
    }

    pub(crate) fn job_ends(&mut self, index: usize, incarnation: u64, token: Token) {
        let event = SimEvent::JobEnds(index, incarnation, token);
        if self.defer_if_frozen(index, event).is_none() || !self.is_current(index, incarnation) {
            return;
        }
        let Some(held) = self.workers[index].held.get_mut(&token).filter(|held| held.running) else { return };
        if matches!(behavior_of(held.key), JobBehavior::KillsWorker(_)) {
            return self.kill_worker(index);
        }
        held.running = false;
        let result = result(token, held.key, held.reason);
        if !self.workers[index].hello_due {
            self.send(index, result);
        }
    }

    pub(crate) fn cancel_ends(&mut self, index: usize, incarnation: u64, token: Token) {
        let event = SimEvent::CancelEnds(index, incarnation, token);
        if self.defer_if_frozen(index, event).is_none() || !self.is_current(index, incarnation) {
            return;
        }
        let worker = &mut self.workers[index];
        if worker.held.get(&token).is_none_or(|held| !held.running) {
            return;
        }
        worker.held.remove(&token);
        let why = if worker.draining.is_some() { "draining" } else { "cancelled" }.to_owned();
        self.send(index, FromWorker::Returned(Returned { token, why }));
        self.finish_drain(index);
    }

    /// Starts a drain. Jobs in flight may end; after a while they are returned.
    pub(crate) fn drain_worker(&mut self, index: usize, then: AfterDrain) {
        if !self.workers[index].alive || self.workers[index].draining.is_some() {
            return;
        }
        self.workers[index].draining = Some(then);
        self.send(index, FromWorker::Draining);
        let incarnation = self.workers[index].incarnation;
        let tokens: Vec<_> = self.workers[index].held.keys().copied().collect();
        for token in tokens {
            self.schedule_in(Duration::from_millis(500), SimEvent::CancelEnds(index, incarnation, token));
        }
        self.finish_drain(index);
    }

    fn finish_drain(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        if worker.draining.is_none() || !worker.held.is_empty() || worker.hello_due {
            return;
        }
        if worker.draining == Some(AfterDrain::Exit) {
            self.send(index, FromWorker::Goodbye);
            self.flush(index);
            self.kill_worker(index);
        } else {
            worker.draining = None;
            worker.bootstrap = Some(self.router.epoch);
            self.send_hello(index);
        }
    }
}

/// Encodes messages as one batch and returns the decoded ones.
fn through_one_batch(messages: &[FromWorker]) -> Vec<FromWorker> {
    let mut batch = Batch::default();
    assert!(messages.iter().all(|message| message.pack(&mut batch, &mut Vec::new())), "the batch is full");
    batch
        .messages(true)
        .flat_map(|m| FromWorker::decode_each(m.frames()).collect::<Vec<_>>())
        .map(Result::unwrap)
        .collect()
}

fn version_of(job: &Job) -> TrackVersion {
    TrackVersion { track: job.track.clone(), version: job.version.clone() }
}
