//! The handlers of the router's messages.

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
const RESULTS_NOT_ACKNOWLEDGED: &str = "results_not_acknowledged";

impl Connection {
    pub(super) fn on_message(&mut self, message: FromRouter, now: Instant, out: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Closed { .. }) {
            // The message came by a socket that is dropped already. The next Hello tells the router all that it needs.
            return;
        }
        self.last_received = now;
        match message {
            FromRouter::Welcome(welcome) => self.on_welcome(*welcome, now, out),
            FromRouter::Desired(desired) => out.push(Action::Prepare(desired)),
            FromRouter::Job(job) => self.on_job(job, out),
            FromRouter::Build(build) => self.on_build(*build, out),
            FromRouter::Ack(ack) => self.held_jobs.acknowledge(ack.token),
            FromRouter::Cancel(cancel) => self.stop_job(cancel.token, "cancelled", out),
            FromRouter::Drain(drain) => self.start_draining(drain.then.into(), now, out),
            FromRouter::Heartbeat => {}
            FromRouter::SayHello => self.send_hello(out),
        }
    }

    fn on_welcome(&mut self, welcome: Welcome, now: Instant, out: &mut Vec<Action>) {
        // The bounds keep a router from making its workers spin, or miss its silence.
        self.timing.heartbeat = bounded_millis(welcome.heartbeat_ms, 100, 60_000);
        self.timing.silence = bounded_millis(welcome.silence_ms, 500, 600_000).max(self.timing.heartbeat * 2);
        self.backoff.reset();
        self.failed_connections = 0;
        self.bootstrap.get_or_insert(welcome.epoch);
        let next_heartbeat = now + self.timing.heartbeat;
        let reads_batches = welcome.protocol >= BATCHES_SINCE;
        self.phase = Phase::Welcomed { next_heartbeat, reads_batches };
        let versions = welcome.desired.clone();
        out.push(Action::Configure(Box::new(welcome)));
        out.push(Action::Prepare(Desired { versions }));
    }

    fn on_job(&mut self, job: Job, out: &mut Vec<Action>) {
        let (token, key) = (job.token, job.key);
        if self.answer_duplicate(token, out) {
            return;
        }
        let served = self.serves(job.channel, &job.track);
        let why = self.refusal_reason(served, self.version_reports.is_ready(&version(&job)));
        if why.is_some_and(|why| [NO_FREE_SLOT, RESULTS_NOT_ACKNOWLEDGED].contains(&why)) {
            // The router takes any reason but a drain to mean that the version is not ready. Here it soon is.
            self.version_reports.report_again(&version(&job));
        }
        self.accept_or_return(token, key, why, Action::StartJob(Box::new(job)), out);
    }

    fn on_build(&mut self, build: Build, out: &mut Vec<Action>) {
        let (token, key) = (build.token, build.key);
        if self.answer_duplicate(token, out) {
            return;
        }
        let why = self.refusal_reason(self.serves(Channel::Builders, &build.track), true);
        self.accept_or_return(token, key, why, Action::StartBuild(Box::new(build)), out);
    }

    /// Answers a job that the router sends again. Returns whether it is one.
    fn answer_duplicate(&mut self, token: Token, out: &mut Vec<Action>) -> bool {
        let held = self.held_jobs.on_duplicate(token);
        if held == Some(HeldState::Running) {
            out.push(accepted(token));
        }
        held.is_some()
    }

    fn accept_or_return(
        &mut self,
        token: Token,
        key: JobKey,
        refusal: Option<&'static str>,
        start: Action,
        out: &mut Vec<Action>,
    ) {
        if let Some(why) = refusal {
            let returned = Returned { token, why: why.to_owned() };
            return out.push(Action::Send(FromWorker::Returned(returned)));
        }
        self.held_jobs.start(token, key);
        out.push(accepted(token));
        out.push(start);
    }

    fn serves(&self, channel: Channel, track: &TrackSlug) -> bool {
        channel == self.identity.channel && self.identity.topics.covers(track)
    }

    /// Returns why a job is not accepted: it crossed a drain or an `Unready` on its way, or the router has miscounted.
    fn refusal_reason(&self, served: bool, ready: bool) -> Option<&'static str> {
        let slots = usize::try_from(self.identity.slots).unwrap_or(usize::MAX);
        if self.is_draining() {
            Some("draining")
        } else if !served {
            Some("not_served")
        } else if !ready {
            Some("not_unpacked")
        } else if self.held_jobs.running() >= slots {
            Some(NO_FREE_SLOT)
        } else if self.held_jobs.is_full() {
            Some(RESULTS_NOT_ACKNOWLEDGED)
        } else {
            None
        }
    }

    pub(super) fn stop_job(&mut self, token: Token, why: &'static str, out: &mut Vec<Action>) {
        if self.held_jobs.is_running(token) {
            out.push(Action::StopJob { token, why });
        }
    }
}

fn version(job: &Job) -> TrackVersion {
    TrackVersion { track: job.track.clone(), version: job.version.clone() }
}

const fn accepted(token: Token) -> Action {
    Action::Send(FromWorker::Accepted(Accepted { token }))
}

fn bounded_millis(millis: u64, min: u64, max: u64) -> Duration {
    Duration::from_millis(millis.clamp(min, max))
}
