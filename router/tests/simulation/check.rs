//! What must hold, whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use trackyard_protocol::name::WorkerName;
use trackyard_protocol::token::{Epoch, JobKey, Token};
use trackyard_protocol::worker::{FromRouter, FromWorker, Job};
use trackyard_router::dispatch::{Answer, Event, Peer, Time, Waiter};

use crate::client::Request;
use crate::plan::{Fate, fate, wall};
use crate::worker::Worker;

/// Late timers and messages at the same moment.
const SLACK: Duration = Duration::from_millis(60);

/// A worker that was heard of so lately cannot have been given up for its silence.
const IN_TOUCH: Duration = Duration::from_millis(2500);

#[derive(Default)]
pub(crate) struct Checker {
    pub(crate) violations: Vec<String>,
    pub(crate) seen: BTreeMap<String, usize>,
    started: Time,
    /// Fresh requests may run what ran before.
    fresh: BTreeSet<JobKey>,
    keys: BTreeMap<Token, JobKey>,
    /// Attempts that the router heard a worker accept, of jobs not ended.
    accepted: BTreeMap<JobKey, BTreeSet<Token>>,
    /// Attempts that the router wanted ended, or whose result it had.
    over: BTreeSet<Token>,
    known: BTreeMap<Peer, Known>,
}

/// What this start of the router was told by a connection.
struct Known {
    name: WorkerName,
    heard: Time,
    /// It was silent for so long that it may have been given up: only its next hello counts.
    doubtful: bool,
    tokens: BTreeSet<Token>,
}

impl Checker {
    pub(crate) fn saw(&mut self, what: &str) {
        *self.seen.entry(what.to_owned()).or_default() += 1;
    }

    pub(crate) fn fail(&mut self, now: Time, what: impl Into<String>) {
        self.violations.push(format!("at {now:?}: {}", what.into()));
    }

    pub(crate) fn router_started(&mut self, now: Time) {
        self.started = now;
        self.accepted.clear();
        self.known.clear();
    }

    pub(crate) fn asked(&mut self, _: Waiter, request: &Request) {
        if request.plan.fresh || request.plan.build {
            self.fresh.insert(request.plan.key);
        }
    }

    /// What the router is about to learn.
    pub(crate) fn before(&mut self, now: Time, event: &Event) {
        match event {
            Event::Worker { peer, message } => self.heard(now, *peer, message),
            Event::Gone { peer } => drop(self.known.remove(peer)),
            _ => {}
        }
    }

    fn heard(&mut self, now: Time, peer: Peer, message: &FromWorker) {
        if let FromWorker::Hello(hello) = message {
            self.known.retain(|_, known| known.name != hello.name);
            let tokens = hello.jobs.iter().map(|held| held.token).collect();
            self.known.insert(peer, Known { name: hello.name.clone(), heard: now, doubtful: false, tokens });
            return;
        }
        let Some(known) = self.known.get_mut(&peer) else { return };
        known.doubtful |= now > known.heard + IN_TOUCH;
        known.heard = now;
        let key = |token: &Token| self.keys.get(token).copied().filter(|_| known.tokens.contains(token));
        match message {
            FromWorker::Accepted(accepted) if !known.doubtful => {
                if let Some(key) = key(&accepted.token) {
                    self.accepted.entry(key).or_default().insert(accepted.token);
                }
            }
            FromWorker::Returned(returned) => {
                if let Some(key) = key(&returned.token) {
                    self.accepted.entry(key).or_default().remove(&returned.token);
                }
            }
            FromWorker::Result(result) => {
                if let Some(key) = key(&result.token) {
                    self.accepted.remove(&key);
                }
                self.over.insert(result.token);
            }
            FromWorker::Goodbye => drop(self.known.remove(&peer)),
            _ => {}
        }
    }

    pub(crate) fn sent(
        &mut self,
        now: Time,
        epoch: Epoch,
        peer: Peer,
        message: &FromRouter,
        workers: &[Worker],
    ) {
        match message {
            FromRouter::Job(job) => {
                self.check_job(now, job, workers);
                self.check_token(now, epoch, peer, job.token, job.key);
            }
            FromRouter::Build(build) => {
                if self.accepted.get(&build.key).is_some_and(|attempts| !attempts.is_empty()) {
                    self.fail(now, format!("{} is built a second time", build.key));
                }
                self.saw("builds");
                self.check_token(now, epoch, peer, build.token, build.key);
            }
            FromRouter::Cancel(cancel) => {
                self.over.insert(cancel.token);
                if let Some(key) = self.keys.get(&cancel.token)
                    && let Some(accepted) = self.accepted.get_mut(key)
                {
                    accepted.remove(&cancel.token);
                }
            }
            _ => {}
        }
    }

    fn check_token(&mut self, now: Time, epoch: Epoch, peer: Peer, token: Token, key: JobKey) {
        if token.epoch != epoch || self.keys.insert(token, key).is_some() {
            self.fail(now, format!("{token} is not a new token"));
        }
        if now < self.started + Duration::from_secs(2) {
            self.fail(now, format!("{token} was sent while workers still report"));
        }
        match self.known.get_mut(&peer) {
            Some(known) => drop(known.tokens.insert(token)),
            None => self.fail(now, format!("{token} was sent to someone who did not say hello")),
        }
    }

    fn check_job(&mut self, now: Time, job: &Job, workers: &[Worker]) {
        let attempts = self.accepted.get(&job.key).map_or(0, BTreeSet::len);
        if job.attempt > 2 || attempts >= 2 {
            self.fail(now, format!("a third attempt of {}", job.key));
        }
        for worker in workers {
            if let Some(token) = self.runs_there(now, worker, job.key) {
                self.fail(now, format!("{} runs twice: as {token} on {}", job.key, worker.name));
            }
        }
    }

    /// The attempt of a job that the router knows a worker to hold, unless it is over for the router.
    fn runs_there(&self, now: Time, worker: &Worker, key: JobKey) -> Option<Token> {
        let known = self.known.get(&worker.peer?)?;
        let in_touch = !known.doubtful && now < known.heard + IN_TOUCH && !self.fresh.contains(&key);
        let mut held = worker.held.iter().filter(|(token, held)| {
            held.key == key && known.tokens.contains(token) && !self.over.contains(token)
        });
        held.find(|_| in_touch).map(|(token, _)| *token)
    }

    pub(crate) fn answered(
        &mut self,
        now: Time,
        waiter: Waiter,
        request: Option<&Request>,
        answer: &Answer,
        stalled: Duration,
    ) {
        self.saw(&format!("{} {}", answer.reason.code(), answer.reason.as_str()));
        let Some(request) = request else {
            return self.fail(now, format!("{waiter:?} got an answer that nobody waits for"));
        };
        let key = request.plan.key;
        self.accepted.remove(&key);
        if answer.replayed && request.plan.build {
            self.fail(now, format!("the build {key} was replayed"));
        }
        self.check_content(now, key, answer);
        let whole = Duration::from_secs(4) + (Duration::from_secs(3) + wall()) * 2;
        let patience = request.plan.deadline.unwrap_or(whole).min(whole);
        let stood_still = stalled.saturating_sub(request.stalled_before);
        if now > request.sent + patience + stood_still + SLACK {
            self.fail(now, format!("{key} was answered too late: asked at {:?}", request.sent));
        }
    }

    fn check_content(&mut self, now: Time, key: JobKey, answer: &Answer) {
        if answer.replayed && !answer.reason.is_replayable() {
            self.fail(now, format!("a {} was replayed", answer.reason));
        }
        let Some(output) = &answer.output else { return };
        let right = match fate(key) {
            Fate::Ends(_, reason) => output.response == key.to_string().as_bytes() && answer.reason == reason,
            Fate::Kills(_) => false,
        };
        if !right {
            let got = String::from_utf8_lossy(&output.response).into_owned();
            self.fail(now, format!("{key} got another job's answer: {got}"));
        }
    }
}
