//! The worker's side of the words: what a real worker does, with simulated containers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use trackyard_protocol::channel::{Channel, Topic, Topics};
use trackyard_protocol::name::WorkerName;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::token::{Epoch, Incarnation, JobKey, Token};
use trackyard_protocol::worker::{
    Accepted, BATCHES_SINCE, Batch, FromRouter, FromWorker, HeldJob, HeldState, Hello, Job, JobResult, Load,
    PROTOCOL, Returned, Then, TrackVersion, Usage, Verdict, VersionFailed,
};
use trackyard_router::dispatch::{Peer, Time};

use crate::plan::{Fate, TRACKS, VERSIONS, fate, track, version};
use crate::world::{Happening, World};

pub(crate) struct Held {
    pub(crate) key: JobKey,
    /// Else its result waits for an acknowledgement.
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
    /// The living connection.
    pub(crate) peer: Option<Peer>,
    /// The oldest connection of the socket: what came by an earlier one is lost.
    socket_since: Peer,
    /// The version of the words that it knows.
    protocol: u32,
    /// What it said and has not sent yet.
    said: Vec<FromWorker>,
    /// Whether what it said is about to leave.
    departing: bool,
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
    draining: Option<Then>,
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
            said: Vec::new(),
            departing: false,
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

    /// Messages arrive in the order in which they were sent.
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

impl World {
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
        self.later(Duration::from_millis(5), Happening::Reconnect(index));
        self.later(Duration::from_secs(1), Happening::Beat(index));
    }

    /// The process is gone, and with it everything that it held.
    pub(crate) fn worker_dies(&mut self, index: usize) {
        self.cut(index);
        let worker = &mut self.workers[index];
        worker.alive = false;
        worker.frozen_until = Time::ZERO;
        worker.held.clear();
        worker.said.clear();
        worker.desired.clear();
        worker.bootstrap = None;
        worker.draining = None;
        let pause = self.random.millis(200, 6000);
        self.later(pause, Happening::WorkerUp(index));
    }

    /// The connection closes; the router sees it a moment later.
    pub(crate) fn cut(&mut self, index: usize) {
        if let Some(peer) = self.workers[index].peer.take() {
            let pause = self.random.millis(1, 20);
            self.later(pause, Happening::Gone(peer));
        }
    }

    fn is_frozen(&self, index: usize) -> bool {
        self.now < self.workers[index].frozen_until
    }

    /// Lets what concerns a frozen worker happen when it thaws. True if it is frozen.
    fn put_off(&mut self, index: usize, happening: Happening) -> Option<Happening> {
        if self.is_frozen(index) {
            self.at(self.workers[index].frozen_until, happening);
            return None;
        }
        Some(happening)
    }

    pub(crate) fn thaw(&mut self, index: usize) {
        self.reconnect(index);
    }

    /// The socket dials again by itself, whatever the worker knows.
    pub(crate) fn reconnect(&mut self, index: usize) {
        if self.put_off(index, Happening::Reconnect(index)).is_none() {
            return;
        }
        let up = self.router.dispatch.is_some();
        if !up || !self.workers[index].alive || self.workers[index].peer.is_some() {
            return;
        }
        let peer = self.new_peer();
        let worker = &mut self.workers[index];
        worker.peer = Some(peer);
        if worker.hello_due {
            worker.socket_since = peer;
            worker.said.clear();
            return self.say_hello(index);
        }
        self.start_departing(index);
    }

    /// Says what it holds, and sends again each result that was not acknowledged.
    pub(crate) fn say_hello(&mut self, index: usize) {
        self.workers[index].hello_due = false;
        self.workers[index].sends_batches = false;
        let hello = self.workers[index].hello();
        self.say(index, hello);
        let held = self.workers[index].held.iter().filter(|(_, held)| !held.running);
        let results: Vec<_> = held.map(|(token, held)| result(*token, held.key, held.reason)).collect();
        for result in results {
            self.say(index, result);
        }
    }

    /// What is said within a moment leaves together.
    pub(crate) fn say(&mut self, index: usize, message: FromWorker) {
        self.workers[index].said.push(message);
        self.start_departing(index);
    }

    fn start_departing(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        if worker.peer.is_some() && !worker.said.is_empty() && !worker.departing {
            worker.departing = true;
            let pause = self.random.millis(0, 3);
            self.later(pause, Happening::Departs(index));
        }
    }

    /// What was said leaves by the connection that there is: as one message, if both sides read batches.
    pub(crate) fn depart(&mut self, index: usize) {
        let on_the_way = self.random.millis(1, 4);
        let worker = &mut self.workers[index];
        worker.departing = false;
        let Some(peer) = worker.peer else { return };
        let said = std::mem::take(&mut worker.said);
        worker.last_departure = worker.last_departure.max(self.now + on_the_way);
        let (at, together) = (worker.last_departure, worker.sends_batches && said.len() > 1);
        if together {
            self.check.saw("several words of a worker in one message");
            return self.at(at, Happening::ToRouter(peer, in_one(&said)));
        }
        for word in said {
            self.at(at, Happening::ToRouter(peer, vec![word]));
        }
    }

    pub(crate) fn worker_beat(&mut self, index: usize) {
        if self.put_off(index, Happening::Beat(index)).is_none() || !self.workers[index].alive {
            return;
        }
        self.later(Duration::from_secs(1), Happening::Beat(index));
        if self.now >= self.workers[index].last_heard + Duration::from_secs(3) {
            self.cut(index);
            self.workers[index].last_heard = self.now;
            self.workers[index].hello_due = true;
            return self.later(Duration::from_millis(20), Happening::Reconnect(index));
        }
        if !self.workers[index].hello_due {
            let busy = u32::try_from(self.workers[index].running()).unwrap();
            self.say(index, FromWorker::Heartbeat(Load { busy }));
        }
    }

    /// All words of a message come, or none.
    pub(crate) fn reach_worker(&mut self, index: usize, peer: Peer, words: Vec<FromRouter>) {
        let happening = Happening::ToWorker(index, peer, words);
        let Some(Happening::ToWorker(_, _, words)) = self.put_off(index, happening) else { return };
        let worker = &self.workers[index];
        let lost = worker.peer != Some(peer) && self.random.chance(50);
        if peer < worker.socket_since || lost {
            return;
        }
        for word in words {
            // One of them may have been its last.
            if self.workers[index].alive {
                self.hear(index, word);
            }
        }
    }

    fn hear(&mut self, index: usize, word: FromRouter) {
        let worker = &mut self.workers[index];
        worker.last_heard = self.now;
        match word {
            FromRouter::Welcome(welcome) => {
                worker.sends_batches = worker.protocol.min(welcome.protocol) >= BATCHES_SINCE;
                worker.bootstrap.get_or_insert(welcome.epoch);
                self.want(index, &welcome.desired);
            }
            FromRouter::Desired(desired) => self.want(index, &desired.versions),
            FromRouter::Job(job) => {
                let ready = worker.ready.iter().any(|(t, v)| pinned(*t, *v) == of(&job));
                self.take_job(index, job.token, job.key, ready);
            }
            FromRouter::Build(build) => self.take_job(index, build.token, build.key, true),
            FromRouter::Ack(ack) => {
                worker.held.retain(|token, held| *token != ack.token || held.running);
                self.leave_if_done(index);
            }
            FromRouter::Cancel(cancel) => {
                let pause = self.random.millis(1, 100);
                let incarnation = self.workers[index].incarnation;
                self.later(pause, Happening::CancelEnds(index, incarnation, cancel.token));
            }
            FromRouter::Drain(drain) => self.drain_worker(index, drain.then),
            FromRouter::Heartbeat => {}
            FromRouter::SayHello => self.say_hello(index),
        }
    }

    fn want(&mut self, index: usize, versions: &[TrackVersion]) {
        let all = (0..TRACKS.len()).flat_map(|track| (0..VERSIONS).map(move |version| (track, version)));
        let desired: BTreeSet<_> = all.filter(|(t, v)| versions.contains(&pinned(*t, *v))).collect();
        let incarnation = self.workers[index].incarnation;
        for (track, version) in &desired {
            if !self.workers[index].ready.contains(&(*track, *version)) {
                let pause = self.random.millis(10, 300);
                self.later(pause, Happening::Prepared(index, incarnation, *track, *version));
            }
        }
        let gone: Vec<_> = self.workers[index].ready.difference(&desired).copied().collect();
        for (track, version) in gone {
            self.workers[index].ready.remove(&(track, version));
            self.say(index, FromWorker::Unready(pinned(track, version)));
        }
        self.workers[index].desired = desired;
    }

    pub(crate) fn prepared(&mut self, index: usize, incarnation: u64, track: usize, version: usize) {
        let happening = Happening::Prepared(index, incarnation, track, version);
        if self.put_off(index, happening).is_none() || !self.is_current(index, incarnation) {
            return;
        }
        let worker = &mut self.workers[index];
        if !worker.desired.contains(&(track, version)) || worker.ready.contains(&(track, version)) {
            return;
        }
        // One version can be had nowhere; any may need a second go.
        let hopeless = (track, version) == (3, 1);
        if hopeless || self.random.chance(5) {
            let version_of = pinned(track, version);
            let (reason, message) = ("pull_failed".to_owned(), "no such manifest".to_owned());
            let failed =
                VersionFailed { version: version_of, reason, status_code: 511, message, retrying: !hopeless };
            self.say(index, FromWorker::Failed(failed.into()));
            if !hopeless {
                let pause = self.random.millis(100, 500);
                self.later(pause, Happening::Prepared(index, incarnation, track, version));
            }
            return;
        }
        worker.ready.insert((track, version));
        self.say(index, FromWorker::Ready(pinned(track, version)));
    }

    fn is_current(&self, index: usize, incarnation: u64) -> bool {
        self.workers[index].alive && self.workers[index].incarnation == incarnation
    }

    fn take_job(&mut self, index: usize, token: Token, key: JobKey, ready: bool) {
        let worker = &self.workers[index];
        if worker.draining.is_some() || !ready {
            let why = if ready { "draining" } else { "not_unpacked" }.to_owned();
            return self.say(index, FromWorker::Returned(Returned { token, why }));
        }
        if worker.running() >= usize::try_from(worker.slots).unwrap() {
            self.check.fail(self.now, format!("{} got a job without a free slot", worker.name));
        }
        self.say(index, FromWorker::Accepted(Accepted { token }));
        let (span, reason) = match fate(key) {
            Fate::Ends(span, reason) => (span, reason),
            Fate::Kills(span) => (span, Reason::Killed),
        };
        let held = Held { key, running: true, reason };
        self.workers[index].held.insert(token, held);
        let incarnation = self.workers[index].incarnation;
        self.later(span, Happening::JobEnds(index, incarnation, token));
    }

    pub(crate) fn job_ends(&mut self, index: usize, incarnation: u64, token: Token) {
        let happening = Happening::JobEnds(index, incarnation, token);
        if self.put_off(index, happening).is_none() || !self.is_current(index, incarnation) {
            return;
        }
        let Some(held) = self.workers[index].held.get_mut(&token).filter(|held| held.running) else { return };
        if matches!(fate(held.key), Fate::Kills(_)) {
            return self.worker_dies(index);
        }
        held.running = false;
        let result = result(token, held.key, held.reason);
        if !self.workers[index].hello_due {
            self.say(index, result);
        }
    }

    pub(crate) fn cancel_ends(&mut self, index: usize, incarnation: u64, token: Token) {
        let happening = Happening::CancelEnds(index, incarnation, token);
        if self.put_off(index, happening).is_none() || !self.is_current(index, incarnation) {
            return;
        }
        let worker = &mut self.workers[index];
        if worker.held.get(&token).is_none_or(|held| !held.running) {
            return;
        }
        worker.held.remove(&token);
        let why = if worker.draining.is_some() { "draining" } else { "cancelled" }.to_owned();
        self.say(index, FromWorker::Returned(Returned { token, why }));
        self.leave_if_done(index);
    }

    /// Jobs in hand may end; after a while they are given back.
    pub(crate) fn drain_worker(&mut self, index: usize, then: Then) {
        if !self.workers[index].alive || self.workers[index].draining.is_some() {
            return;
        }
        self.workers[index].draining = Some(then);
        self.say(index, FromWorker::Draining);
        let incarnation = self.workers[index].incarnation;
        let tokens: Vec<_> = self.workers[index].held.keys().copied().collect();
        for token in tokens {
            self.later(Duration::from_millis(500), Happening::CancelEnds(index, incarnation, token));
        }
        self.leave_if_done(index);
    }

    fn leave_if_done(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        if worker.draining.is_none() || !worker.held.is_empty() || worker.hello_due {
            return;
        }
        if worker.draining == Some(Then::Exit) {
            self.say(index, FromWorker::Goodbye);
            self.depart(index);
            self.worker_dies(index);
        } else {
            worker.draining = None;
            worker.bootstrap = Some(self.router.epoch);
            self.say_hello(index);
        }
    }
}

/// Words as they come out of the one message that carries them.
fn in_one(words: &[FromWorker]) -> Vec<FromWorker> {
    let mut batch = Batch::default();
    assert!(words.iter().all(|word| word.pack(&mut batch, &mut Vec::new())), "too much for one message");
    batch
        .messages(true)
        .flat_map(|m| FromWorker::decode_each(m.frames()).collect::<Vec<_>>())
        .map(Result::unwrap)
        .collect()
}

fn of(job: &Job) -> TrackVersion {
    TrackVersion { track: job.track.clone(), version: job.version.clone() }
}
