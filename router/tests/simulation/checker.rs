//! Checks the invariants that must hold in every run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use trackyard_protocol::name::WorkerName;
use trackyard_protocol::token::{Epoch, JobKey, Token};
use trackyard_protocol::worker::{FromRouter, FromWorker, Job};
use trackyard_router::dispatch::{Event, JobAnswer, Peer, Time, Waiter};

use crate::client::Request;
use crate::plan::{JobBehavior, behavior_of, wall};
use crate::worker::Worker;

/// Tolerance for late timers and for messages at the same time.
const TIMER_TOLERANCE: Duration = Duration::from_millis(60);

/// Silence after which the router may have lost a worker. Before that it cannot have.
const MAX_SAFE_SILENCE: Duration = Duration::from_millis(2500);

#[derive(Default)]
pub(crate) struct Checker {
    pub(crate) violations: Vec<String>,
    pub(crate) counts: BTreeMap<String, usize>,
    started: Time,
    /// Keys of fresh requests, whose jobs may run again.
    fresh: BTreeSet<JobKey>,
    keys: BTreeMap<Token, JobKey>,
    /// Attempts of open jobs that a worker has accepted, as far as the router knows.
    accepted: BTreeMap<JobKey, BTreeSet<Token>>,
    /// Attempts that the router has cancelled, or whose result it has received.
    over: BTreeSet<Token>,
    known: BTreeMap<Peer, Known>,
}

/// What this start of the router knows from one connection.
struct Known {
    name: WorkerName,
    last_heard: Time,
    /// True if the worker was silent for so long that it may be lost: only its next hello counts.
    is_uncertain: bool,
    tokens: BTreeSet<Token>,
}

impl Checker {
    pub(crate) fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
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

    /// Notes what the router is about to learn.
    pub(crate) fn before(&mut self, now: Time, event: &Event) {
        match event {
            Event::Worker { peer, message } => self.heard(now, *peer, message),
            Event::Disconnected { peer } => drop(self.known.remove(peer)),
            _ => {}
        }
    }

    fn heard(&mut self, now: Time, peer: Peer, message: &FromWorker) {
        if let FromWorker::Hello(hello) = message {
            self.known.retain(|_, known| known.name != hello.name);
            let tokens = hello.jobs.iter().map(|held| held.token).collect();
            self.known.insert(
                peer,
                Known { name: hello.name.clone(), last_heard: now, is_uncertain: false, tokens },
            );
            return;
        }
        let Some(known) = self.known.get_mut(&peer) else { return };
        known.is_uncertain |= now > known.last_heard + MAX_SAFE_SILENCE;
        known.last_heard = now;
        let key = |token: &Token| self.keys.get(token).copied().filter(|_| known.tokens.contains(token));
        match message {
            FromWorker::Accepted(accepted) if !known.is_uncertain => {
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
                self.count("builds");
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
            None => self.fail(now, format!("{token} was sent to a peer that did not say hello")),
        }
    }

    fn check_job(&mut self, now: Time, job: &Job, workers: &[Worker]) {
        let attempts = self.accepted.get(&job.key).map_or(0, BTreeSet::len);
        if job.attempt > 2 || attempts >= 2 {
            self.fail(now, format!("a third attempt of {}", job.key));
        }
        for worker in workers {
            if let Some(token) = self.running_attempt(now, worker, job.key) {
                self.fail(now, format!("{} runs twice: as {token} on {}", job.key, worker.name));
            }
        }
    }

    /// Returns the attempt of a job that a worker holds, if the router knows of it and has not ended it.
    fn running_attempt(&self, now: Time, worker: &Worker, key: JobKey) -> Option<Token> {
        let known = self.known.get(&worker.peer?)?;
        if known.is_uncertain || now >= known.last_heard + MAX_SAFE_SILENCE || self.fresh.contains(&key) {
            return None;
        }
        let mut held = worker.held.iter().filter(|(token, held)| {
            held.key == key && known.tokens.contains(token) && !self.over.contains(token)
        });
        held.next().map(|(token, _)| *token)
    }

    pub(crate) fn answered(
        &mut self,
        now: Time,
        waiter: Waiter,
        request: Option<&Request>,
        answer: &JobAnswer,
        stalled: Duration,
    ) {
        self.count(&format!("{} {}", answer.reason.code(), answer.reason.as_str()));
        let Some(request) = request else {
            return self.fail(now, format!("{waiter:?} got an answer that nobody waits for"));
        };
        let key = request.plan.key;
        self.accepted.remove(&key);
        if answer.replayed && request.plan.build {
            self.fail(now, format!("the build {key} was replayed"));
        }
        self.check_content(now, key, answer);
        let job_limit = Duration::from_secs(4) + (Duration::from_secs(3) + wall()) * 2;
        let max_wait = request.plan.deadline.unwrap_or(job_limit).min(job_limit);
        let stalled_for = stalled.saturating_sub(request.stalled_before);
        if now > request.sent + max_wait + stalled_for + TIMER_TOLERANCE {
            self.fail(now, format!("{key} was answered too late: asked at {:?}", request.sent));
        }
    }

    fn check_content(&mut self, now: Time, key: JobKey, answer: &JobAnswer) {
        if answer.replayed && !answer.reason.is_replayable() {
            self.fail(now, format!("a {} was replayed", answer.reason));
        }
        let Some(output) = &answer.output else { return };
        let is_right = match behavior_of(key) {
            JobBehavior::Ends(_, reason) => {
                output.response == key.to_string().as_bytes() && answer.reason == reason
            }
            JobBehavior::KillsWorker(_) => false,
        };
        if !is_right {
            let got = String::from_utf8_lossy(&output.response).into_owned();
            self.fail(now, format!("{key} got another job's answer: {got}"));
        }
    }
}
