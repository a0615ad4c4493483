//! Whatever happens in whatever order, the promise holds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use trackyard_protocol::token::{Epoch, JobKey, Token};
use trackyard_protocol::worker::{
    Ack, Acknowledge, AfterDrain, Cancel, Drain, FromRouter, FromWorker, Welcome,
};

use super::tests::{ended, identity, job, token, version, welcome};
use super::{Action, Connection, Ended, Event, Leave, Outgoing, Timing};

const SLOTS: u32 = 3;

#[derive(Debug, Clone, Copy)]
enum Step {
    Pass(u64),
    Welcome(u64, u32),
    SayHello,
    Beat,
    Job(u64),
    Ack(u64),
    Cancel(u64),
    End(usize),
    GiveBack(usize),
    Ready,
    Gone,
    DrainAnew,
    Bootstrapped(bool),
    EndOfTurn,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1_u64..5_000).prop_map(Step::Pass),
        2 => (7_u64..9, 1_u32..3).prop_map(|(epoch, protocol)| Step::Welcome(epoch, protocol)),
        2 => Just(Step::EndOfTurn),
        1 => Just(Step::SayHello),
        2 => Just(Step::Beat),
        6 => (0_u64..30).prop_map(Step::Job),
        3 => (0_u64..30).prop_map(Step::Ack),
        1 => (0_u64..30).prop_map(Step::Cancel),
        4 => (0_usize..4).prop_map(Step::End),
        1 => (0_usize..4).prop_map(Step::GiveBack),
        3 => Just(Step::Ready),
        1 => Just(Step::Gone),
        1 => Just(Step::DrainAnew),
        2 => any::<bool>().prop_map(Step::Bootstrapped),
    ]
}

/// What an onlooker saw.
struct World {
    connection: Connection,
    now: Instant,
    open: bool,
    greeted: bool,
    running: BTreeSet<Token>,
    results: BTreeMap<Token, usize>,
    returned: BTreeSet<Token>,
    acknowledged: BTreeSet<Token>,
    exited: bool,
    outgoing: Outgoing,
    /// What was said on this socket, and what has left.
    said: Vec<FromWorker>,
    left: Vec<FromWorker>,
    /// The version of the words that the router of this socket told last.
    protocol: u32,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            connection: Connection::new(identity(SLOTS), Timing::default(), None, 1, now),
            now,
            open: false,
            greeted: false,
            running: BTreeSet::new(),
            results: BTreeMap::new(),
            returned: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            exited: false,
            outgoing: Outgoing::default(),
            said: Vec::new(),
            left: Vec::new(),
            protocol: 0,
        }
    }

    fn hear(&mut self, message: FromRouter) {
        if self.open {
            self.on(Event::Heard(Box::new(message)));
        }
    }

    fn on(&mut self, event: Event) {
        for action in self.connection.on(event, self.now) {
            self.see(action);
        }
        assert!(self.running.len() <= SLOTS as usize);
    }

    fn see(&mut self, action: Action) {
        assert!(!self.exited, "{action:?} after the exit");
        match action {
            Action::Open => self.open = true,
            Action::Close => self.close(),
            Action::Start(job) => {
                assert!(self.running.insert(job.token));
                assert!(!self.results.contains_key(&job.token) || self.acknowledged.contains(&job.token));
            }
            Action::Build(build) => assert!(self.running.insert(build.token)),
            Action::Stop { token, .. } => assert!(self.running.contains(&token)),
            Action::Exit => self.exited = true,
            Action::Send(message) => self.sent(message),
            Action::Configure(_) | Action::Prepare(_) | Action::Bootstrap => {}
        }
    }

    fn close(&mut self) {
        (self.open, self.greeted, self.protocol) = (false, false, 0);
        self.outgoing.clear();
        self.said.clear();
        self.left.clear();
    }

    /// What was said leaves in its order; together only to a router that reads batches, and `Hello` always alone.
    fn end_turn(&mut self) {
        let mut messages = Vec::new();
        self.outgoing.flush(self.connection.reads_batches(), |message| messages.push(message));
        messages.into_iter().for_each(|message| self.leaves(&message));
        assert_eq!(std::mem::take(&mut self.left), std::mem::take(&mut self.said));
    }

    fn leaves(&mut self, message: &[Vec<u8>]) {
        let words: Vec<FromWorker> = FromWorker::decode_each(message).map(Result::unwrap).collect();
        let alone = self.protocol < 2 || words.iter().any(|word| matches!(word, FromWorker::Hello(_)));
        assert!(words.len() == 1 || !alone, "{words:?} in one message to a router of {}", self.protocol);
        self.left.extend(words);
    }

    fn say(&mut self, message: FromWorker) {
        let mut messages = Vec::new();
        self.said.push(message.clone());
        self.outgoing.say(message, self.connection.reads_batches(), |message| messages.push(message));
        messages.into_iter().for_each(|message| self.leaves(&message));
    }

    fn sent(&mut self, message: FromWorker) {
        assert!(self.open, "{message:?} without a socket");
        self.say(message.clone());
        match message {
            FromWorker::Hello(hello) => {
                self.greeted = true;
                let held: BTreeSet<Token> = hello.jobs.iter().map(|job| job.token).collect();
                assert!(self.running.is_subset(&held), "a running job is not told");
            }
            other => {
                assert!(self.greeted, "{other:?} before Hello");
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

    fn end(&mut self, index: usize, give_back: bool) {
        let Some(token) = self.running.iter().nth(index).copied() else { return };
        self.running.remove(&token);
        let key = JobKey(token.sequence.into());
        self.on(if give_back {
            Event::JobEnded(Box::new(Ended::Returned { token, key, why: "cancelled" }))
        } else {
            ended(token.sequence)
        });
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Pass(millis) => {
                self.now += Duration::from_millis(millis);
                self.on(Event::Tick);
            }
            Step::Welcome(epoch, protocol) => {
                let FromRouter::Welcome(welcome) = welcome(Epoch(epoch)) else { return };
                self.protocol = protocol;
                self.hear(FromRouter::Welcome(Box::new(Welcome { protocol, ..*welcome })));
            }
            Step::EndOfTurn => self.end_turn(),
            Step::SayHello => self.hear(FromRouter::SayHello),
            Step::Beat => self.hear(FromRouter::Heartbeat),
            // A router never uses a token twice once its job is closed.
            Step::Job(n) if self.acknowledged.contains(&token(n)) || self.returned.contains(&token(n)) => {}
            Step::Job(n) => self.hear(FromRouter::Job(job(n))),
            Step::Ack(n) => {
                if self.open && self.results.contains_key(&token(n)) {
                    self.acknowledged.insert(token(n));
                    self.hear(FromRouter::Ack(Acknowledge { token: token(n), ack: Ack::Stored }));
                }
            }
            Step::Cancel(n) => self.hear(FromRouter::Cancel(Cancel { token: token(n) })),
            Step::End(index) => self.end(index, false),
            Step::GiveBack(index) => self.end(index, true),
            Step::Ready => self.on(Event::VersionReady(version('a'))),
            Step::Gone => self.on(Event::VersionGone(version('a'))),
            Step::DrainAnew => self.hear(FromRouter::Drain(Drain { then: AfterDrain::Bootstrap })),
            Step::Bootstrapped(moved) => self.on(Event::Bootstrapped { epoch: None, moved }),
        }
    }

    /// Everything ends, a router is there: each job that was taken must be closed.
    fn settle(&mut self) {
        while !self.running.is_empty() {
            self.end(0, false);
        }
        for _ in 0..200 {
            self.now += Duration::from_millis(200);
            self.on(Event::Tick);
            if self.open && !self.connection.is_welcome() {
                self.step(Step::Welcome(7, 2));
            }
            self.hear(FromRouter::Heartbeat);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_job_taken_is_closed_once_and_results_stay_until_acknowledged(
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut world = World::new();
        let mut taken = BTreeSet::new();
        for step in steps {
            let before = world.running.clone();
            world.step(step);
            prop_assert_eq!(world.connection.busy() as usize, world.running.len());
            taken.extend(world.running.difference(&before).copied());
        }
        world.settle();
        world.end_turn();
        for token in taken {
            let result = world.results.contains_key(&token);
            prop_assert!(result != world.returned.contains(&token), "{token}: result {result}");
        }
        let open: BTreeSet<_> = world.results.keys().filter(|t| !world.acknowledged.contains(t)).collect();
        prop_assert_eq!(world.connection.unacknowledged(), open.len());
        prop_assert!(!world.exited);
    }

    #[test]
    fn a_drain_always_ends(steps in prop::collection::vec(step(), 1..100), answer: bool) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.on(Event::Drain(Leave::ExitInTime));
        for _ in 0..80 {
            if world.exited {
                break;
            }
            world.now += Duration::from_secs(1);
            world.on(Event::Tick);
            if answer {
                world.hear(FromRouter::Heartbeat);
            }
        }
        prop_assert!(world.exited);
    }
}
