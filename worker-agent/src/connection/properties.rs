//! Properties of the connection that hold for events in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use trackyard_protocol::token::{Epoch, JobKey, Token};
use trackyard_protocol::worker::{
    Ack, Acknowledge, AfterDrain, Cancel, Drain, FromRouter, FromWorker, Welcome,
};

use super::tests::{ended, identity, job, token, version, welcome};
use super::{Action, Connection, DrainMode, Event, JobEnd, Outgoing, Timing};

const SLOTS: u32 = 3;

#[derive(Debug, Clone, Copy)]
enum Input {
    AdvanceMillis(u64),
    Welcome(u64, u32),
    SayHello,
    Heartbeat,
    Job(u64),
    Ack(u64),
    Cancel(u64),
    End(usize),
    Return(usize),
    Ready,
    Gone,
    DrainToBootstrap,
    Bootstrapped(bool),
    EndIteration,
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        3 => (1_u64..5_000).prop_map(Input::AdvanceMillis),
        2 => (7_u64..9, 1_u32..3).prop_map(|(epoch, protocol)| Input::Welcome(epoch, protocol)),
        2 => Just(Input::EndIteration),
        1 => Just(Input::SayHello),
        2 => Just(Input::Heartbeat),
        6 => (0_u64..30).prop_map(Input::Job),
        3 => (0_u64..30).prop_map(Input::Ack),
        1 => (0_u64..30).prop_map(Input::Cancel),
        4 => (0_usize..4).prop_map(Input::End),
        1 => (0_usize..4).prop_map(Input::Return),
        3 => Just(Input::Ready),
        1 => Just(Input::Gone),
        1 => Just(Input::DrainToBootstrap),
        2 => any::<bool>().prop_map(Input::Bootstrapped),
    ]
}

/// A connection, and what was observed of it.
struct Observer {
    connection: Connection,
    now: Instant,
    open: bool,
    said_hello: bool,
    running: BTreeSet<Token>,
    results: BTreeMap<Token, usize>,
    returned: BTreeSet<Token>,
    acknowledged: BTreeSet<Token>,
    exited: bool,
    outgoing: Outgoing,
    /// The messages that were pushed on this socket, and those that have left.
    pushed: Vec<FromWorker>,
    left: Vec<FromWorker>,
    /// The protocol version of the last `Welcome` on this socket.
    protocol: u32,
}

impl Observer {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            connection: Connection::new(identity(SLOTS), Timing::default(), None, 1, now),
            now,
            open: false,
            said_hello: false,
            running: BTreeSet::new(),
            results: BTreeMap::new(),
            returned: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            exited: false,
            outgoing: Outgoing::default(),
            pushed: Vec::new(),
            left: Vec::new(),
            protocol: 0,
        }
    }

    fn receive(&mut self, message: FromRouter) {
        if self.open {
            self.on(Event::RouterMessage(Box::new(message)));
        }
    }

    fn on(&mut self, event: Event) {
        for action in self.connection.on(event, self.now) {
            self.on_action(action);
        }
        assert!(self.running.len() <= SLOTS as usize);
    }

    fn on_action(&mut self, action: Action) {
        assert!(!self.exited, "{action:?} after the exit");
        match action {
            Action::Open => self.open = true,
            Action::Close => self.close(),
            Action::StartJob(job) => {
                assert!(self.running.insert(job.token));
                assert!(!self.results.contains_key(&job.token) || self.acknowledged.contains(&job.token));
            }
            Action::StartBuild(build) => assert!(self.running.insert(build.token)),
            Action::StopJob { token, .. } => assert!(self.running.contains(&token)),
            Action::Exit => self.exited = true,
            Action::Send(message) => self.on_sent(message),
            Action::Configure(_) | Action::Prepare(_) | Action::Bootstrap => {}
        }
    }

    fn close(&mut self) {
        (self.open, self.said_hello, self.protocol) = (false, false, 0);
        self.outgoing.clear();
        self.pushed.clear();
        self.left.clear();
    }

    /// Checks that pushed messages leave in order: together only to a router that reads batches, and `Hello` always alone.
    fn end_iteration(&mut self) {
        let mut messages = Vec::new();
        self.outgoing.flush(self.connection.reads_batches(), |message| messages.push(message));
        messages.into_iter().for_each(|message| self.on_frames(&message));
        assert_eq!(std::mem::take(&mut self.left), std::mem::take(&mut self.pushed));
    }

    fn on_frames(&mut self, message: &[Vec<u8>]) {
        let messages: Vec<FromWorker> = FromWorker::decode_each(message).map(Result::unwrap).collect();
        let alone =
            self.protocol < 2 || messages.iter().any(|message| matches!(message, FromWorker::Hello(_)));
        assert!(
            messages.len() == 1 || !alone,
            "{messages:?} in one message to a router of {}",
            self.protocol
        );
        self.left.extend(messages);
    }

    fn push(&mut self, message: FromWorker) {
        let mut messages = Vec::new();
        self.pushed.push(message.clone());
        self.outgoing.push(message, self.connection.reads_batches(), |message| messages.push(message));
        messages.into_iter().for_each(|message| self.on_frames(&message));
    }

    fn on_sent(&mut self, message: FromWorker) {
        assert!(self.open, "{message:?} without a socket");
        self.push(message.clone());
        match message {
            FromWorker::Hello(hello) => {
                self.said_hello = true;
                let held: BTreeSet<Token> = hello.jobs.iter().map(|job| job.token).collect();
                assert!(self.running.is_subset(&held), "a running job is not in Hello");
            }
            other => {
                assert!(self.said_hello, "{other:?} before Hello");
                match other {
                    FromWorker::Result(result) => {
                        assert!(!self.running.contains(&result.token));
                        *self.results.entry(result.token).or_default() += 1;
                    }
                    FromWorker::Returned(returned) => {
                        self.running.remove(&returned.token);
                        self.returned.insert(returned.token);
                    }
                    _ => {}
                }
            }
        }
    }

    fn end(&mut self, index: usize, is_returned: bool) {
        let Some(token) = self.running.iter().nth(index).copied() else { return };
        self.running.remove(&token);
        let key = JobKey(token.sequence.into());
        self.on(if is_returned {
            Event::JobEnded(Box::new(JobEnd::Returned { token, key, why: "cancelled" }))
        } else {
            ended(token.sequence)
        });
    }

    fn apply(&mut self, input: Input) {
        match input {
            Input::AdvanceMillis(millis) => {
                self.now += Duration::from_millis(millis);
                self.on(Event::Tick);
            }
            Input::Welcome(epoch, protocol) => {
                let FromRouter::Welcome(welcome) = welcome(Epoch(epoch)) else { return };
                self.protocol = protocol;
                self.receive(FromRouter::Welcome(Box::new(Welcome { protocol, ..*welcome })));
            }
            Input::EndIteration => self.end_iteration(),
            Input::SayHello => self.receive(FromRouter::SayHello),
            Input::Heartbeat => self.receive(FromRouter::Heartbeat),
            // A router never uses a token twice once its job is closed.
            Input::Job(n) if self.acknowledged.contains(&token(n)) || self.returned.contains(&token(n)) => {}
            Input::Job(n) => self.receive(FromRouter::Job(job(n))),
            Input::Ack(n) => {
                if self.open && self.results.contains_key(&token(n)) {
                    self.acknowledged.insert(token(n));
                    self.receive(FromRouter::Ack(Acknowledge { token: token(n), ack: Ack::Stored }));
                }
            }
            Input::Cancel(n) => self.receive(FromRouter::Cancel(Cancel { token: token(n) })),
            Input::End(index) => self.end(index, false),
            Input::Return(index) => self.end(index, true),
            Input::Ready => self.on(Event::VersionReady(version('a'))),
            Input::Gone => self.on(Event::VersionGone(version('a'))),
            Input::DrainToBootstrap => self.receive(FromRouter::Drain(Drain { then: AfterDrain::Bootstrap })),
            Input::Bootstrapped(moved) => self.on(Event::Bootstrapped { epoch: None, moved }),
        }
    }

    /// Ends all jobs, with a router that answers: each accepted job must be closed.
    fn settle(&mut self) {
        while !self.running.is_empty() {
            self.end(0, false);
        }
        for _ in 0..200 {
            self.now += Duration::from_millis(200);
            self.on(Event::Tick);
            if self.open && !self.connection.is_welcomed() {
                self.apply(Input::Welcome(7, 2));
            }
            self.receive(FromRouter::Heartbeat);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn accepted_jobs_are_closed_exactly_once(
        inputs in prop::collection::vec(input(), 1..200),
    ) {
        let mut observer = Observer::new();
        let mut taken = BTreeSet::new();
        for input in inputs {
            let before = observer.running.clone();
            observer.apply(input);
            prop_assert_eq!(observer.connection.busy() as usize, observer.running.len());
            taken.extend(observer.running.difference(&before).copied());
        }
        observer.settle();
        observer.end_iteration();
        for token in taken {
            let result = observer.results.contains_key(&token);
            prop_assert!(result != observer.returned.contains(&token), "{token}: result {result}");
        }
        let open: BTreeSet<_> = observer.results.keys().filter(|t| !observer.acknowledged.contains(t)).collect();
        prop_assert_eq!(observer.connection.unacknowledged(), open.len());
        prop_assert!(!observer.exited);
    }

    #[test]
    fn every_drain_ends(inputs in prop::collection::vec(input(), 1..100), answer: bool) {
        let mut observer = Observer::new();
        for input in inputs {
            observer.apply(input);
        }
        observer.on(Event::Drain(DrainMode::Graceful));
        for _ in 0..80 {
            if observer.exited {
                break;
            }
            observer.now += Duration::from_secs(1);
            observer.on(Event::Tick);
            if answer {
                observer.receive(FromRouter::Heartbeat);
            }
        }
        prop_assert!(observer.exited);
    }
}
