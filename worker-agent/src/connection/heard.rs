//! What the router's words mean to a worker.

use std::time::{Duration, Instant};

use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::TrackSlug;
use trackyard_protocol::token::{JobKey, Token};
use trackyard_protocol::worker::{
    Accepted, BATCHES_SINCE, Build, Desired, FromRouter, FromWorker, HeldState, Job, Returned, TrackVersion,
    Welcome,
};

use super::event::Action;
use super::{Connection, Phase};

const NO_FREE_SLOT: &str = "no_free_slot";
const NOT_ACKNOWLEDGED: &str = "results_not_acknowledged";

impl Connection {
    pub(super) fn heard(&mut self, message: FromRouter, now: Instant, out: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Closed { .. }) {
            // Left over from a socket that is dropped already: whoever sent it learns all from the next Hello.
            return;
        }
        self.last_heard = now;
        match message {
            FromRouter::Welcome(welcome) => self.welcome(*welcome, now, out),
            FromRouter::Desired(desired) => out.push(Action::Prepare(desired)),
            FromRouter::Job(job) => self.job(job, out),
            FromRouter::Build(build) => self.build(*build, out),
            FromRouter::Ack(ack) => self.held.acknowledge(ack.token),
            FromRouter::Cancel(cancel) => self.stop(cancel.token, "cancelled", out),
            FromRouter::Drain(drain) => self.start_draining(drain.then.into(), now, out),
            FromRouter::Heartbeat => {}
            FromRouter::SayHello => self.greet(out),
        }
    }

    fn welcome(&mut self, welcome: Welcome, now: Instant, out: &mut Vec<Action>) {
        // Bounds, so that no router makes its workers spin, or deaf.
        self.timing.heartbeat = millis(welcome.heartbeat_ms, 100, 60_000);
        self.timing.silence = millis(welcome.silence_ms, 500, 600_000).max(self.timing.heartbeat * 2);
        self.backoff.reset();
        self.unwelcome = 0;
        self.bootstrap.get_or_insert(welcome.epoch);
        let next_heartbeat = now + self.timing.heartbeat;
        let reads_batches = welcome.protocol >= BATCHES_SINCE;
        self.phase = Phase::Welcomed { next_heartbeat, reads_batches };
        let versions = welcome.desired.clone();
        out.push(Action::Configure(Box::new(welcome)));
        out.push(Action::Prepare(Desired { versions }));
    }

    fn job(&mut self, job: Job, out: &mut Vec<Action>) {
        let (token, key) = (job.token, job.key);
        if self.is_repeated(token, out) {
            return;
        }
        let served = self.serves(job.channel, &job.track);
        let why = self.refusal(served, self.standings.is_ready(&version(&job)));
        if why.is_some_and(|why| [NO_FREE_SLOT, NOT_ACKNOWLEDGED].contains(&why)) {
            // A router takes whatever is not a drain for "not ready", and this is not for long.
            self.standings.tell_again(&version(&job));
        }
        self.take(token, key, why, Action::Start(Box::new(job)), out);
    }

    fn build(&mut self, build: Build, out: &mut Vec<Action>) {
        let (token, key) = (build.token, build.key);
        if self.is_repeated(token, out) {
            return;
        }
        let why = self.refusal(self.serves(Channel::Builders, &build.track), true);
        self.take(token, key, why, Action::Build(Box::new(build)), out);
    }

    /// A router that is not sure says it again: it is told what it has missed.
    fn is_repeated(&mut self, token: Token, out: &mut Vec<Action>) -> bool {
        let held = self.held.repeat(token);
        if held == Some(HeldState::Running) {
            out.push(accepted(token));
        }
        held.is_some()
    }

    fn take(
        &mut self,
        token: Token,
        key: JobKey,
        why_not: Option<&'static str>,
        start: Action,
        out: &mut Vec<Action>,
    ) {
        if let Some(why) = why_not {
            let returned = Returned { token, why: why.to_owned() };
            return out.push(Action::Send(FromWorker::Returned(returned)));
        }
        self.held.start(token, key);
        out.push(accepted(token));
        out.push(start);
    }

    fn serves(&self, channel: Channel, track: &TrackSlug) -> bool {
        channel == self.identity.channel && self.identity.topics.covers(track)
    }

    /// Why a job is not taken: it crossed a drain or an unready on the way, or the router does not count right.
    fn refusal(&self, served: bool, ready: bool) -> Option<&'static str> {
        let slots = usize::try_from(self.identity.slots).unwrap_or(usize::MAX);
        if self.is_draining() {
            Some("draining")
        } else if !served {
            Some("not_served")
        } else if !ready {
            Some("not_unpacked")
        } else if self.held.running() >= slots {
            Some(NO_FREE_SLOT)
        } else if self.held.is_full() {
            Some(NOT_ACKNOWLEDGED)
        } else {
            None
        }
    }

    pub(super) fn stop(&mut self, token: Token, why: &'static str, out: &mut Vec<Action>) {
        if self.held.is_running(token) {
            out.push(Action::Stop { token, why });
        }
    }
}

fn version(job: &Job) -> TrackVersion {
    TrackVersion { track: job.track.clone(), version: job.version.clone() }
}

const fn accepted(token: Token) -> Action {
    Action::Send(FromWorker::Accepted(Accepted { token }))
}

fn millis(given: u64, least: u64, most: u64) -> Duration {
    Duration::from_millis(given.clamp(least, most))
}
