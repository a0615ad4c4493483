use std::sync::Arc;
use std::time::{Duration, Instant};

use rstest::rstest;
use trackyard_protocol::limits::SharedLimits;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::source::{ImageSource, ImageSourceKind, InputPolicy};
use trackyard_protocol::token::{JobKey, Token};
use trackyard_protocol::worker::{
    Ack, Acknowledge, AfterDrain, Cancel, Drain, FromRouter, HeldState, Job, JobResult, Task, TrackVersion,
    Usage, Verdict, VersionFailed, Welcome,
};

use super::*;

const EPOCH: Epoch = Epoch(7);
const SECOND: Duration = Duration::from_secs(1);

pub(super) fn identity(slots: u32) -> Identity {
    Identity {
        name: WorkerName::new("w1").unwrap(),
        incarnation: Incarnation(1),
        pool: None,
        channel: Channel::TestRunners,
        topics: Topics::any(),
        slots,
        release: "0".to_owned(),
    }
}

pub(super) fn version(digit: char) -> TrackVersion {
    let sha: String = std::iter::repeat_n(digit, 40).collect();
    TrackVersion { track: "ruby".parse().unwrap(), version: format!("git-{sha}").parse().unwrap() }
}

pub(super) fn welcome(epoch: Epoch) -> FromRouter {
    FromRouter::Welcome(Box::new(Welcome {
        protocol: PROTOCOL,
        epoch,
        desired: vec![version('a')],
        images: ImageSource {
            kind: ImageSourceKind::Registry,
            location: "127.0.0.1:5000".to_owned(),
            repositories: trackyard_protocol::source::default_repositories(),
        },
        inputs: InputPolicy::default(),
        heartbeat_ms: 1000,
        silence_ms: 3000,
    }))
}

pub(super) fn token(sequence: u64) -> Token {
    Token { epoch: EPOCH, sequence }
}

pub(super) fn job(sequence: u64) -> Job {
    Job {
        token: token(sequence),
        attempt: 1,
        setup_ms: 15_000,
        total_ms: 40_000,
        task: Task {
            key: JobKey(sequence.into()),
            id: "id".parse().unwrap(),
            channel: Channel::TestRunners,
            track: version('a').track,
            exercise: "two-fer".parse().unwrap(),
            version: version('a').version,
            input: "s3://bucket/1".parse().unwrap(),
            limits: SharedLimits::default(),
        }
        .into(),
    }
}

fn changed_job(change: impl FnOnce(&mut Task)) -> Job {
    let mut job = job(1);
    change(Arc::make_mut(&mut job.task));
    job
}

pub(super) fn result(sequence: u64) -> JobResult {
    JobResult {
        token: token(sequence),
        key: JobKey(sequence.into()),
        verdict: Verdict::new(Reason::Ok, ""),
        usage: Usage::default(),
        response: b"{}".to_vec(),
        context: b"{}".to_vec(),
    }
}

pub(super) fn ended(sequence: u64) -> Event {
    Event::JobEnded(Box::new(JobEnd::Result(result(sequence))))
}

/// A connection and its clock.
struct Harness {
    connection: Connection,
    now: Instant,
}

impl Harness {
    fn new(slots: u32) -> Self {
        let now = Instant::now();
        Self { connection: Connection::new(identity(slots), Timing::default(), None, 3, now), now }
    }

    /// Returns a welcomed connection with a ready version.
    fn running(slots: u32) -> Self {
        let mut harness = Self::new(slots);
        harness.on(Event::Tick);
        harness.receive(welcome(EPOCH));
        harness.on(Event::VersionReady(version('a')));
        harness
    }

    fn on(&mut self, event: Event) -> Vec<Action> {
        self.connection.on(event, self.now)
    }

    fn receive(&mut self, message: FromRouter) -> Vec<Action> {
        self.on(Event::RouterMessage(Box::new(message)))
    }

    fn job(&mut self, sequence: u64) -> Vec<String> {
        names(&self.receive(FromRouter::Job(job(sequence))))
    }

    fn after(&mut self, span: Duration) -> Vec<Action> {
        self.now += span;
        self.on(Event::Tick)
    }

    /// Waits for a new connection and returns its `Hello`.
    fn reopened(&mut self) -> Box<Hello> {
        for _ in 0..20 {
            for action in self.after(SECOND) {
                if let Action::Send(FromWorker::Hello(hello)) = action {
                    return hello;
                }
            }
        }
        panic!("the socket was not opened again")
    }
}

/// Returns the name of each action, or of the message that it sends.
fn names(actions: &[Action]) -> Vec<String> {
    actions
        .iter()
        .map(|action| match action {
            Action::Send(FromWorker::Returned(returned)) => format!("Returned {}", returned.why),
            Action::Send(message) => message.name().to_owned(),
            Action::StopJob { why, .. } => format!("stop {why}"),
            Action::Open => "open".to_owned(),
            Action::Close => "close".to_owned(),
            Action::Configure(_) => "configure".to_owned(),
            Action::Prepare(_) => "prepare".to_owned(),
            Action::StartJob(_) => "start".to_owned(),
            Action::StartBuild(_) => "build".to_owned(),
            Action::Bootstrap => "bootstrap".to_owned(),
            Action::Exit => "exit".to_owned(),
        })
        .collect()
}

#[test]
fn result_is_kept_until_acknowledged() {
    let mut harness = Harness::new(1);
    assert_eq!(names(&harness.on(Event::Tick)), ["open", "Hello"]);
    assert_eq!(names(&harness.receive(welcome(EPOCH))), ["configure", "prepare"]);
    assert_eq!(names(&harness.on(Event::VersionReady(version('a')))), ["Ready"]);
    assert_eq!(harness.job(1), ["Accepted", "start"]);
    assert_eq!(names(&harness.on(ended(1))), ["Result"]);
    assert_eq!((harness.connection.busy(), harness.connection.unacknowledged()), (0, 1));
    harness.receive(FromRouter::Ack(Acknowledge { token: token(1), ack: Ack::Stored }));
    assert_eq!(harness.connection.unacknowledged(), 0);
}

#[rstest]
#[case(1, false)]
#[case(2, true)]
fn batches_need_a_router_that_reads_them(#[case] protocol: u32, #[case] reads: bool) {
    let mut harness = Harness::new(1);
    harness.on(Event::Tick);
    assert!(!harness.connection.reads_batches());
    let FromRouter::Welcome(welcome) = welcome(EPOCH) else { panic!("a Welcome") };
    harness.receive(FromRouter::Welcome(Box::new(Welcome { protocol, ..*welcome })));
    assert_eq!(harness.connection.reads_batches(), reads);
    harness.receive(FromRouter::SayHello);
    assert!(!harness.connection.reads_batches());
}

#[test]
fn refused_jobs_are_returned_with_the_reason() {
    let mut harness = Harness::running(1);
    let other = changed_job(|task| task.version = version('b').version);
    assert_eq!(names(&harness.receive(FromRouter::Job(other))), ["Returned not_unpacked"]);
    let foreign = changed_job(|task| task.channel = Channel::Representers);
    assert_eq!(names(&harness.receive(FromRouter::Job(foreign))), ["Returned not_served"]);
    harness.job(2);
    assert_eq!(harness.job(3), ["Returned no_free_slot", "Ready"]);
    harness.on(Event::VersionGone(version('a')));
    harness.on(ended(2));
    assert_eq!(harness.job(4), ["Returned not_unpacked"]);
    harness.on(Event::VersionReady(version('a')));
    harness.on(Event::Drain(DrainMode::WhenIdle));
    assert_eq!(harness.job(5), ["Returned draining"]);
}

#[test]
fn scoped_worker_refuses_other_tracks() {
    let now = Instant::now();
    let topics = serde_json::from_str(r#"["csharp"]"#).unwrap();
    let identity = Identity { topics, ..identity(1) };
    let mut harness = Harness { connection: Connection::new(identity, Timing::default(), None, 3, now), now };
    harness.on(Event::Tick);
    harness.receive(welcome(EPOCH));
    harness.on(Event::VersionReady(version('a')));
    assert_eq!(harness.job(1), ["Returned not_served"]);
}

#[test]
fn repeated_job_runs_once() {
    let mut harness = Harness::running(2);
    harness.job(1);
    assert_eq!(harness.job(1), ["Accepted"]);
    harness.on(ended(1));
    assert_eq!(harness.job(1), ["Result"]);
}

#[test]
fn heartbeats_have_the_load() {
    let mut harness = Harness::running(2);
    harness.job(1);
    let actions = harness.after(SECOND);
    assert_eq!(actions, [Action::Send(FromWorker::Heartbeat(Load { busy: 1 }))]);
    assert_eq!(harness.after(Duration::from_millis(10)), []);
    assert_eq!(harness.connection.next_tick(), Some(harness.now + Duration::from_millis(990)));
}

#[test]
fn reconnect_after_silence_lists_held_jobs() {
    let mut harness = Harness::running(2);
    harness.job(1);
    harness.job(2);
    assert_eq!(names(&harness.after(SECOND * 3)), ["close"]);
    assert_eq!(names(&harness.on(ended(1))), Vec::<String>::new());
    let hello = harness.reopened();
    let held: Vec<_> = hello.jobs.iter().map(|job| (job.token, job.state)).collect();
    assert_eq!(held, [(token(1), HeldState::Finished), (token(2), HeldState::Running)]);
    assert_eq!((hello.incarnation, hello.versions.clone()), (Incarnation(1), vec![version('a')]));
    assert_eq!(names(&harness.receive(welcome(EPOCH))), ["configure", "prepare", "Result"]);
}

#[test]
fn restarted_router_gets_earlier_results() {
    let mut harness = Harness::running(2);
    harness.job(1);
    harness.on(ended(1));
    harness.job(2);
    assert_eq!(names(&harness.receive(FromRouter::SayHello)), ["Hello"]);
    assert_eq!(names(&harness.receive(welcome(Epoch(8)))), ["configure", "prepare", "Result"]);
    assert_eq!(names(&harness.on(ended(2))), ["Result"]);
    assert_eq!(names(&harness.receive(FromRouter::SayHello)), ["Hello"]);
}

#[test]
fn changes_before_the_welcome_are_sent_after_it() {
    let mut harness = Harness::running(1);
    harness.job(1);
    harness.receive(FromRouter::SayHello);
    harness.on(Event::VersionGone(version('a')));
    let failed = VersionFailed {
        version: version('b'),
        reason: "pull_failed".to_owned(),
        status_code: 511,
        message: String::new(),
        retrying: true,
    };
    harness.on(Event::VersionFailed(failed));
    let returned = JobEnd::Returned { token: token(1), key: JobKey(1), why: "cancelled" };
    assert_eq!(harness.on(Event::JobEnded(Box::new(returned))), []);
    let sent = names(&harness.receive(welcome(EPOCH)));
    assert_eq!(sent, ["configure", "prepare", "Unready", "Failed", "Returned cancelled"]);
    harness.receive(FromRouter::SayHello);
    assert!(names(&harness.receive(welcome(EPOCH))).contains(&"Failed".to_owned()));
}

#[test]
fn cancelled_job_is_stopped_and_returned() {
    let mut harness = Harness::running(1);
    harness.job(1);
    let cancel = FromRouter::Cancel(Cancel { token: token(1) });
    assert_eq!(names(&harness.receive(cancel.clone())), ["stop cancelled"]);
    let returned = JobEnd::Returned { token: token(1), key: JobKey(1), why: "cancelled" };
    assert_eq!(names(&harness.on(Event::JobEnded(Box::new(returned)))), ["Returned cancelled"]);
    assert_eq!(names(&harness.receive(cancel)), Vec::<String>::new());
}

#[test]
fn drain_delivers_results_and_exits() {
    let mut harness = Harness::running(1);
    harness.job(1);
    assert_eq!(names(&harness.on(Event::Drain(DrainMode::Graceful))), ["Draining"]);
    assert_eq!(names(&harness.on(ended(1))), ["Result"]);
    let ack = FromRouter::Ack(Acknowledge { token: token(1), ack: Ack::Dropped });
    assert_eq!(names(&harness.receive(ack)), ["Goodbye", "exit"]);
    assert_eq!(harness.after(SECOND * 9), []);
    assert_eq!(harness.connection.next_tick(), None);
}

#[test]
fn drain_timeout_returns_stuck_jobs() {
    let mut harness = Harness::running(2);
    harness.job(1);
    harness.job(2);
    harness.on(Event::Drain(DrainMode::Graceful));
    let mut seen = Vec::new();
    for _ in 0..600 {
        harness.receive(FromRouter::Heartbeat);
        let actions = names(&harness.after(SECOND / 10));
        if actions.iter().any(|name| name.starts_with("stop")) {
            let returned = JobEnd::Returned { token: token(1), key: JobKey(1), why: "draining" };
            seen.extend(names(&harness.on(Event::JobEnded(Box::new(returned)))));
        }
    }
    for _ in 0..60 {
        harness.receive(FromRouter::Heartbeat);
        seen.extend(names(&harness.after(SECOND / 10)));
    }
    seen.retain(|name| name != "Heartbeat");
    assert_eq!(seen, ["Returned draining", "Returned draining", "Goodbye", "exit"]);
}

#[test]
fn second_signal_exits_at_once() {
    let mut harness = Harness::running(1);
    harness.job(1);
    harness.on(Event::Drain(DrainMode::Graceful));
    assert_eq!(names(&harness.on(Event::Drain(DrainMode::Immediate))), ["stop draining"]);
    let returned = JobEnd::Returned { token: token(1), key: JobKey(1), why: "draining" };
    let last = names(&harness.on(Event::JobEnded(Box::new(returned))));
    assert_eq!(last, ["Returned draining", "Goodbye", "exit"]);
}

#[test]
fn drain_without_a_router_ends_at_its_timeout() {
    let mut harness = Harness::running(1);
    harness.job(1);
    harness.on(Event::Drain(DrainMode::Graceful));
    harness.on(ended(1));
    let mut left = None;
    for second in 1..100 {
        if harness.after(SECOND).contains(&Action::Exit) {
            left = Some(second);
            break;
        }
    }
    assert_eq!(left, Some(60));
}

#[rstest]
#[case(false, &["Hello"])]
#[case(true, &["close", "open", "Hello"])]
fn forced_restart_finishes_jobs_and_bootstraps(#[case] moved: bool, #[case] then: &[&str]) {
    let mut harness = Harness::running(1);
    harness.job(1);
    let drain = FromRouter::Drain(Drain { then: AfterDrain::Bootstrap });
    assert_eq!(names(&harness.receive(drain)), ["Draining"]);
    assert_eq!(names(&harness.on(ended(1))), ["Result", "bootstrap"]);
    let actions = harness.on(Event::Bootstrapped { epoch: Some(Epoch(9)), moved });
    assert_eq!(names(&actions), then);
    let Some(Action::Send(FromWorker::Hello(hello))) = actions.last() else { panic!("no Hello") };
    assert_eq!((hello.bootstrap, hello.draining, hello.jobs.len()), (Some(Epoch(9)), false, 1));
    harness.receive(welcome(Epoch(9)));
    assert_eq!(harness.job(2), ["Accepted", "start"]);
}

#[test]
fn worker_without_a_welcome_bootstraps_again() {
    let mut harness = Harness::new(1);
    let mut sent = Vec::new();
    for _ in 0..1000 {
        sent.extend(names(&harness.after(SECOND)));
        if sent.last().is_some_and(|name| name == "bootstrap") {
            break;
        }
    }
    let closed = sent.iter().filter(|name| *name == "close").count();
    assert_eq!((closed, sent.last().map(String::as_str)), (10, Some("bootstrap")));
    let moved = || Event::Bootstrapped { epoch: Some(Epoch(9)), moved: true };
    assert_eq!(names(&harness.on(moved())), ["open", "Hello"]);
    harness.receive(welcome(Epoch(9)));
    assert_eq!(names(&harness.on(moved())), [""; 0], "there was no request");
}

#[test]
fn first_welcome_is_the_bootstrap() {
    let mut harness = Harness::running(1);
    harness.receive(welcome(Epoch(8)));
    let actions = harness.receive(FromRouter::SayHello);
    let [Action::Send(FromWorker::Hello(hello))] = actions.as_slice() else { panic!("no Hello") };
    assert_eq!(hello.bootstrap, Some(EPOCH));
}

#[test]
fn unacknowledged_results_are_bounded() {
    let mut harness = Harness::running(4);
    let taken = (0..1000)
        .filter(|sequence| {
            let taken = harness.job(*sequence) == ["Accepted", "start"];
            harness.on(ended(*sequence));
            taken
        })
        .count();
    assert_eq!(taken, held::MAX_UNACKNOWLEDGED_RESULTS);
}

#[test]
fn welcome_intervals_are_bounded() {
    let mut harness = Harness::running(1);
    let FromRouter::Welcome(mut hasty) = welcome(EPOCH) else { panic!() };
    hasty.heartbeat_ms = 0;
    hasty.silence_ms = 0;
    harness.receive(FromRouter::Welcome(hasty));
    assert_eq!(harness.connection.next_tick(), Some(harness.now + Duration::from_millis(100)));
}
