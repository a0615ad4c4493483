//! A dispatcher past its recovery, with short methods for what workers and clients send.

use std::collections::BTreeMap;
use std::time::Duration;

use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::limits::Limits;
use trackyard_protocol::name::{ExerciseSlug, JobId, TrackSlug, WorkerName};
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::{JobRequest, Tooling};
use trackyard_protocol::source::{ImageSource, ImageSourceKind, InputPolicy};
use trackyard_protocol::token::{Epoch, Incarnation, JobKey, Token};
use trackyard_protocol::version::PinnedVersion;
use trackyard_protocol::worker::{
    Accepted, FromRouter, FromWorker, Hello, Job, JobResult, PROTOCOL, TrackVersion, Usage, Verdict,
};

use crate::dispatch::{
    Action, Counter, DeployedVersions, Dispatch, Event, JobAnswer, JobSpec, NewJob, Peer, Settings, Time,
    Waiter,
};

pub(super) const EPOCH: Epoch = Epoch(0xe);

pub(super) struct Harness {
    pub(super) dispatch: Dispatch,
    pub(super) now: Time,
    pub(super) answers: BTreeMap<u64, JobAnswer>,
    pub(super) sent: Vec<(u64, FromRouter)>,
    pub(super) counted: Vec<Counter>,
    waiters: u64,
}

pub(super) fn settings() -> Settings {
    let location = "/images".to_owned();
    let images = ImageSource { kind: ImageSourceKind::Layout, location, repositories: BTreeMap::new() };
    Settings::new(images, InputPolicy::default())
}

pub(super) fn tooling(track: &str) -> Tooling {
    Tooling { channel: Channel::TestRunners, track: TrackSlug::new(track).unwrap() }
}

pub(super) fn version(number: u32) -> PinnedVersion {
    format!("git-{number:040x}@sha256:{number:064x}").parse().unwrap()
}

pub(super) fn of_track(track: &str, number: u32) -> TrackVersion {
    TrackVersion { track: TrackSlug::new(track).unwrap(), version: version(number) }
}

/// Returns the hello of a worker that has version 0 of these tracks ready.
pub(super) fn hello(name: &str, topics: &[&str], slots: u32, ready: &[&str]) -> Hello {
    Hello {
        protocol: PROTOCOL,
        name: WorkerName::new(name).unwrap(),
        incarnation: Incarnation(1),
        pool: None,
        channel: Channel::TestRunners,
        topics: topics.iter().map(|topic| topic.parse().unwrap()).collect::<Topics>(),
        slots,
        versions: ready.iter().map(|track| of_track(track, 0)).collect(),
        jobs: Vec::new(),
        bootstrap: None,
        draining: false,
        release: String::new(),
    }
}

pub(super) fn new_job(track: &str, key: u128) -> NewJob {
    let request = JobRequest {
        id: JobId::new(format!("job-{key}")).unwrap(),
        tooling: tooling(track),
        exercise: ExerciseSlug::new("two-fer").unwrap(),
        input: "s3://submissions/1".parse().unwrap(),
        version: version(0).version,
        execution_timeout: None,
        deadline: None,
        fresh: false,
    };
    let spec = JobSpec::Run { request, version: version(0), limits: Limits::default() };
    NewJob { spec, key: JobKey(key), bytes: 100 }
}

/// Returns the job with its request changed.
pub(super) fn with(mut job: NewJob, change: impl Fn(&mut JobRequest)) -> NewJob {
    if let JobSpec::Run { request, .. } = &mut job.spec {
        change(request);
    }
    job
}

impl Harness {
    /// Creates a dispatcher past its recovery, with version 0 of ruby and python deployed.
    pub(super) fn new() -> Self {
        Self::with(settings())
    }

    pub(super) fn with(settings: Settings) -> Self {
        let mut harness = Self::recovering(settings);
        harness.advance(Duration::from_secs(2));
        harness
    }

    pub(super) fn recovering(settings: Settings) -> Self {
        let mut harness = Self {
            dispatch: Dispatch::new(EPOCH, settings, Time::ZERO),
            now: Time::ZERO,
            answers: BTreeMap::new(),
            sent: Vec::new(),
            counted: Vec::new(),
            waiters: 0,
        };
        harness.deploy(&["ruby", "python"]);
        harness
    }

    pub(super) fn deploy(&mut self, tracks: &[&str]) {
        let versions = tracks.iter().map(|track| (tooling(track), vec![version(0)])).collect();
        self.on(Event::Deployed(DeployedVersions(versions)));
    }

    pub(super) fn on(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.dispatch.on(event, self.now, &mut actions);
        for action in actions {
            match action {
                Action::Answer { waiter, answer } => {
                    assert!(
                        self.answers.insert(waiter.0, answer).is_none(),
                        "{waiter:?} has an answer already"
                    );
                }
                Action::Send { peer, message } => self.sent.push((peer.0, message)),
                Action::Count(counter) => self.counted.push(counter),
            }
        }
    }

    pub(super) fn advance(&mut self, duration: Duration) {
        self.now += duration;
        self.on(Event::Tick);
    }

    pub(super) fn receive(&mut self, peer: u64, message: FromWorker) {
        self.on(Event::Worker { peer: Peer(peer), message });
    }

    pub(super) fn hello(&mut self, peer: u64, hello: Hello) {
        self.receive(peer, FromWorker::Hello(Box::new(hello)));
    }

    /// Submits a job and returns its waiter.
    pub(super) fn submit(&mut self, job: NewJob) -> u64 {
        self.waiters += 1;
        self.on(Event::Job { waiter: Waiter(self.waiters), job: Box::new(job) });
        self.waiters
    }

    pub(super) fn accept(&mut self, peer: u64, token: Token) {
        self.receive(peer, FromWorker::Accepted(Accepted { token }));
    }

    pub(super) fn finish(&mut self, peer: u64, token: Token, reason: Reason) {
        let result = JobResult {
            token,
            key: JobKey(0),
            verdict: Verdict::new(reason, ""),
            usage: Usage::default(),
            response: b"{}".to_vec(),
            context: b"{}".to_vec(),
        };
        self.receive(peer, FromWorker::Result(Box::new(result)));
    }

    /// Returns the jobs that were sent since the last call, with their worker's connection.
    pub(super) fn jobs(&mut self) -> Vec<(u64, Job)> {
        let sent = std::mem::take(&mut self.sent).into_iter();
        sent.filter_map(|(peer, message)| match message {
            FromRouter::Job(job) => Some((peer, job)),
            _ => None,
        })
        .collect()
    }

    /// Returns the only job that was sent since the last call.
    pub(super) fn job(&mut self) -> (u64, Job) {
        let mut jobs = self.jobs();
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        jobs.remove(0)
    }

    pub(super) fn was_sent(&self, peer: u64, message: &FromRouter) -> bool {
        self.sent.iter().any(|sent| *sent == (peer, message.clone()))
    }

    pub(super) fn reason(&self, waiter: u64) -> Option<Reason> {
        self.answers.get(&waiter).map(|ending| ending.reason)
    }
}
