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
    Event::JobEnded(Box::new(Ended::Result(result(sequence))))
}

/// A connection and its time.
struct Talk {
    connection: Connection,
    now: Instant,
}

impl Talk {
    fn new(slots: u32) -> Self {
        let now = Instant::now();
        Self { connection: Connection::new(identity(slots), Timing::default(), None, 3, now), now }
    }

    /// Connected, welcomed, with a version ready.
    fn running(slots: u32) -> Self {
        let mut talk = Self::new(slots);
        talk.on(Event::Tick);
        talk.hear(welcome(EPOCH));
        talk.on(Event::VersionReady(version('a')));
        talk
    }

    fn on(&mut self, event: Event) -> Vec<Action> {
        self.connection.on(event, self.now)
    }

    fn hear(&mut self, message: FromRouter) -> Vec<Action> {
        self.on(Event::Heard(Box::new(message)))
    }

    fn job(&mut self, sequence: u64) -> Vec<String> {
        words(&self.hear(FromRouter::Job(job(sequence))))
    }

    fn after(&mut self, span: Duration) -> Vec<Action> {
        self.now += span;
        self.on(Event::Tick)
    }

    /// Goes on until the talk is opened anew, and gives its `Hello`.
    fn reopened(&mut self) -> Box<Hello> {
        for _ in 0..20 {
            for action in self.after(SECOND) {
                if let Action::Send(FromWorker::Hello(hello)) = action {
                    return hello;
                }
            }
        }
        panic!("never opened again")
    }
}

/// One word for each action: what was sent, or what is to be done.
fn words(actions: &[Action]) -> Vec<String> {
    actions
        .iter()
        .map(|action| match action {
            Action::Send(FromWorker::Returned(returned)) => format!("Returned {}", returned.why),
            Action::Send(message) => message.name().to_owned(),
            Action::Stop { why, .. } => format!("stop {why}"),
            Action::Open => "open".to_owned(),
            Action::Close => "close".to_owned(),
            Action::Configure(_) => "configure".to_owned(),
            Action::Prepare(_) => "prepare".to_owned(),
            Action::Start(_) => "start".to_owned(),
            Action::Build(_) => "build".to_owned(),
            Action::Bootstrap => "bootstrap".to_owned(),
            Action::Exit => "exit".to_owned(),
        })
        .collect()
}

#[test]
fn hello_comes_first_and_a_job_is_accepted_run_and_kept_until_acknowledged() {
    let mut talk = Talk::new(1);
    assert_eq!(words(&talk.on(Event::Tick)), ["open", "Hello"]);
    assert_eq!(words(&talk.hear(welcome(EPOCH))), ["configure", "prepare"]);
    assert_eq!(words(&talk.on(Event::VersionReady(version('a')))), ["Ready"]);
    assert_eq!(talk.job(1), ["Accepted", "start"]);
    assert_eq!(words(&talk.on(ended(1))), ["Result"]);
    assert_eq!((talk.connection.busy(), talk.connection.unacknowledged()), (0, 1));
    talk.hear(FromRouter::Ack(Acknowledge { token: token(1), ack: Ack::Stored }));
    assert_eq!(talk.connection.unacknowledged(), 0);
}

#[rstest]
#[case(1, false)]
#[case(2, true)]
fn batches_are_for_a_router_that_has_said_it_reads_them(#[case] protocol: u32, #[case] reads: bool) {
    let mut talk = Talk::new(1);
    talk.on(Event::Tick);
    assert!(!talk.connection.reads_batches());
    let FromRouter::Welcome(welcome) = welcome(EPOCH) else { panic!("a Welcome") };
    talk.hear(FromRouter::Welcome(Box::new(Welcome { protocol, ..*welcome })));
    assert_eq!(talk.connection.reads_batches(), reads);
    talk.hear(FromRouter::SayHello);
    assert!(!talk.connection.reads_batches());
}

#[test]
fn jobs_that_cannot_be_taken_go_back_with_the_reason() {
    let with = |change: fn(&mut Task)| {
        let mut job = job(1);
        change(Arc::make_mut(&mut job.task));
        job
    };
    let mut talk = Talk::running(1);
    let other = with(|task| task.version = version('b').version);
    assert_eq!(words(&talk.hear(FromRouter::Job(other))), ["Returned not_unpacked"]);
    let foreign = with(|task| task.channel = Channel::Representers);
    assert_eq!(words(&talk.hear(FromRouter::Job(foreign))), ["Returned not_served"]);
    talk.job(2);
    assert_eq!(talk.job(3), ["Returned no_free_slot", "Ready"]);
    talk.on(Event::VersionGone(version('a')));
    talk.on(ended(2));
    assert_eq!(talk.job(4), ["Returned not_unpacked"]);
    talk.on(Event::VersionReady(version('a')));
    talk.on(Event::Drain(Leave::Exit));
    assert_eq!(talk.job(5), ["Returned draining"]);
}

#[test]
fn a_scoped_worker_takes_no_job_of_another_track() {
    let now = Instant::now();
    let topics = serde_json::from_str(r#"["csharp"]"#).unwrap();
    let identity = Identity { topics, ..identity(1) };
    let mut talk = Talk { connection: Connection::new(identity, Timing::default(), None, 3, now), now };
    talk.on(Event::Tick);
    talk.hear(welcome(EPOCH));
    talk.on(Event::VersionReady(version('a')));
    assert_eq!(talk.job(1), ["Returned not_served"]);
}

#[test]
fn a_job_that_comes_twice_runs_once() {
    let mut talk = Talk::running(2);
    talk.job(1);
    assert_eq!(talk.job(1), ["Accepted"]);
    talk.on(ended(1));
    assert_eq!(talk.job(1), ["Result"]);
}

#[test]
fn heartbeats_are_sent_in_time_and_tell_the_load() {
    let mut talk = Talk::running(2);
    talk.job(1);
    let actions = talk.after(SECOND);
    assert_eq!(actions, [Action::Send(FromWorker::Heartbeat(Load { busy: 1 }))]);
    assert_eq!(talk.after(Duration::from_millis(10)), []);
    assert_eq!(talk.connection.next_tick(), Some(talk.now + Duration::from_millis(990)));
}

#[test]
fn silence_opens_the_socket_anew_and_everything_held_is_told() {
    let mut talk = Talk::running(2);
    talk.job(1);
    talk.job(2);
    assert_eq!(words(&talk.after(SECOND * 3)), ["close"]);
    assert_eq!(words(&talk.on(ended(1))), Vec::<String>::new());
    let hello = talk.reopened();
    let held: Vec<_> = hello.jobs.iter().map(|job| (job.token, job.state)).collect();
    assert_eq!(held, [(token(1), HeldState::Finished), (token(2), HeldState::Running)]);
    assert_eq!((hello.incarnation, hello.versions.clone()), (Incarnation(1), vec![version('a')]));
    assert_eq!(words(&talk.hear(welcome(EPOCH))), ["configure", "prepare", "Result"]);
}

#[test]
fn a_router_that_started_again_gets_the_results_of_its_predecessor() {
    let mut talk = Talk::running(2);
    talk.job(1);
    talk.on(ended(1));
    talk.job(2);
    assert_eq!(words(&talk.hear(FromRouter::SayHello)), ["Hello"]);
    assert_eq!(words(&talk.hear(welcome(Epoch(8)))), ["configure", "prepare", "Result"]);
    assert_eq!(words(&talk.on(ended(2))), ["Result"]);
    assert_eq!(words(&talk.hear(FromRouter::SayHello)), ["Hello"]);
}

#[test]
fn what_happens_before_the_welcome_is_told_after_it() {
    let mut talk = Talk::running(1);
    talk.job(1);
    talk.hear(FromRouter::SayHello);
    talk.on(Event::VersionGone(version('a')));
    let failed = VersionFailed {
        version: version('b'),
        reason: "pull_failed".to_owned(),
        status_code: 511,
        message: String::new(),
        retrying: true,
    };
    talk.on(Event::VersionFailed(failed));
    let returned = Ended::Returned { token: token(1), key: JobKey(1), why: "cancelled" };
    assert_eq!(talk.on(Event::JobEnded(Box::new(returned))), []);
    let told = words(&talk.hear(welcome(EPOCH)));
    assert_eq!(told, ["configure", "prepare", "Unready", "Failed", "Returned cancelled"]);
    talk.hear(FromRouter::SayHello);
    assert!(words(&talk.hear(welcome(EPOCH))).contains(&"Failed".to_owned()));
}

#[test]
fn a_cancelled_job_is_stopped_and_returned_when_its_slot_is_free() {
    let mut talk = Talk::running(1);
    talk.job(1);
    let cancel = FromRouter::Cancel(Cancel { token: token(1) });
    assert_eq!(words(&talk.hear(cancel.clone())), ["stop cancelled"]);
    let returned = Ended::Returned { token: token(1), key: JobKey(1), why: "cancelled" };
    assert_eq!(words(&talk.on(Event::JobEnded(Box::new(returned)))), ["Returned cancelled"]);
    assert_eq!(words(&talk.hear(cancel)), Vec::<String>::new());
}

#[test]
fn a_drain_finishes_jobs_delivers_results_and_leaves() {
    let mut talk = Talk::running(1);
    talk.job(1);
    assert_eq!(words(&talk.on(Event::Drain(Leave::ExitInTime))), ["Draining"]);
    assert_eq!(words(&talk.on(ended(1))), ["Result"]);
    let ack = FromRouter::Ack(Acknowledge { token: token(1), ack: Ack::Dropped });
    assert_eq!(words(&talk.hear(ack)), ["Goodbye", "exit"]);
    assert_eq!(talk.after(SECOND * 9), []);
    assert_eq!(talk.connection.next_tick(), None);
}

#[test]
fn at_the_drain_timeout_jobs_go_back_even_if_they_do_not_end() {
    let mut talk = Talk::running(2);
    talk.job(1);
    talk.job(2);
    talk.on(Event::Drain(Leave::ExitInTime));
    let mut seen = Vec::new();
    for _ in 0..600 {
        talk.hear(FromRouter::Heartbeat);
        let actions = words(&talk.after(SECOND / 10));
        if actions.iter().any(|word| word.starts_with("stop")) {
            let returned = Ended::Returned { token: token(1), key: JobKey(1), why: "draining" };
            seen.extend(words(&talk.on(Event::JobEnded(Box::new(returned)))));
        }
    }
    for _ in 0..60 {
        talk.hear(FromRouter::Heartbeat);
        seen.extend(words(&talk.after(SECOND / 10)));
    }
    seen.retain(|word| word != "Heartbeat");
    assert_eq!(seen, ["Returned draining", "Returned draining", "Goodbye", "exit"]);
}

#[test]
fn a_second_signal_leaves_within_seconds() {
    let mut talk = Talk::running(1);
    talk.job(1);
    talk.on(Event::Drain(Leave::ExitInTime));
    assert_eq!(words(&talk.on(Event::Drain(Leave::ExitNow))), ["stop draining"]);
    let returned = Ended::Returned { token: token(1), key: JobKey(1), why: "draining" };
    let last = words(&talk.on(Event::JobEnded(Box::new(returned))));
    assert_eq!(last, ["Returned draining", "Goodbye", "exit"]);
}

#[test]
fn without_a_router_a_drain_ends_at_its_timeout() {
    let mut talk = Talk::running(1);
    talk.job(1);
    talk.on(Event::Drain(Leave::ExitInTime));
    talk.on(ended(1));
    let mut left = None;
    for second in 1..100 {
        if talk.after(SECOND).contains(&Action::Exit) {
            left = Some(second);
            break;
        }
    }
    assert_eq!(left, Some(60));
}

#[rstest]
#[case(false, &["Hello"])]
#[case(true, &["close", "open", "Hello"])]
fn a_forced_restart_finishes_jobs_and_bootstraps_again(#[case] moved: bool, #[case] then: &[&str]) {
    let mut talk = Talk::running(1);
    talk.job(1);
    let drain = FromRouter::Drain(Drain { then: AfterDrain::Bootstrap });
    assert_eq!(words(&talk.hear(drain)), ["Draining"]);
    assert_eq!(words(&talk.on(ended(1))), ["Result", "bootstrap"]);
    let actions = talk.on(Event::Bootstrapped { epoch: Some(Epoch(9)), moved });
    assert_eq!(words(&actions), then);
    let Some(Action::Send(FromWorker::Hello(hello))) = actions.last() else { panic!("no Hello") };
    assert_eq!((hello.bootstrap, hello.draining, hello.jobs.len()), (Some(Epoch(9)), false, 1));
    talk.hear(welcome(Epoch(9)));
    assert_eq!(talk.job(2), ["Accepted", "start"]);
}

#[test]
fn one_that_is_never_welcome_asks_again_where_workers_connect() {
    let mut talk = Talk::new(1);
    let mut said = Vec::new();
    for _ in 0..1000 {
        said.extend(words(&talk.after(SECOND)));
        if said.last().is_some_and(|word| word == "bootstrap") {
            break;
        }
    }
    let closed = said.iter().filter(|word| *word == "close").count();
    assert_eq!((closed, said.last().map(String::as_str)), (10, Some("bootstrap")));
    let moved = || Event::Bootstrapped { epoch: Some(Epoch(9)), moved: true };
    assert_eq!(words(&talk.on(moved())), ["open", "Hello"]);
    talk.hear(welcome(Epoch(9)));
    assert_eq!(words(&talk.on(moved())), [""; 0], "nobody has asked");
}

#[test]
fn the_first_welcome_is_the_bootstrap_where_the_router_named_none() {
    let mut talk = Talk::running(1);
    talk.hear(welcome(Epoch(8)));
    let actions = talk.hear(FromRouter::SayHello);
    let [Action::Send(FromWorker::Hello(hello))] = actions.as_slice() else { panic!("no Hello") };
    assert_eq!(hello.bootstrap, Some(EPOCH));
}

#[test]
fn results_that_nobody_acknowledges_are_bounded() {
    let mut talk = Talk::running(4);
    let taken = (0..1000)
        .filter(|sequence| {
            let taken = talk.job(*sequence) == ["Accepted", "start"];
            talk.on(ended(*sequence));
            taken
        })
        .count();
    assert_eq!(taken, held::MAX_FINISHED);
}

#[test]
fn a_routers_intervals_are_bounded() {
    let mut talk = Talk::running(1);
    let FromRouter::Welcome(mut hasty) = welcome(EPOCH) else { panic!() };
    hasty.heartbeat_ms = 0;
    hasty.silence_ms = 0;
    talk.hear(FromRouter::Welcome(hasty));
    assert_eq!(talk.connection.next_tick(), Some(talk.now + Duration::from_millis(100)));
}
