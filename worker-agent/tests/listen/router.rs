//! Both ports of a router, driven by hand.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::json;
use trackyard_protocol::token::Epoch;
use trackyard_protocol::worker::{
    Batch, FromRouter, FromWorker, Hello, JobResult, PROTOCOL, Returned, VersionFailed, Welcome,
};

use crate::scenario::Scenario;

const PATIENCE: Duration = Duration::from_secs(20);

/// A router that says what a test wants, and heartbeats by itself while it waits.
pub(crate) struct Router {
    context: zmq::Context,
    clients: zmq::Socket,
    workers: zmq::Socket,
    /// This start.
    pub(crate) epoch: Epoch,
    /// How often `configure_worker` was asked.
    pub(crate) asked: u32,
    /// The version of the words that it says it knows.
    pub(crate) protocol: u32,
    /// The most words that came in one message.
    pub(crate) together: usize,
    peer: Vec<u8>,
    heard: VecDeque<FromWorker>,
    last_beat: Instant,
}

impl Router {
    pub(crate) fn bind() -> Self {
        let context = zmq::Context::new();
        let bound = || {
            let socket = context.socket(zmq::ROUTER).unwrap();
            socket.set_linger(0).unwrap();
            socket.bind("tcp://127.0.0.1:*").unwrap();
            socket
        };
        let (clients, workers) = (bound(), bound());
        Self {
            context,
            clients,
            workers,
            epoch: Epoch(7),
            asked: 0,
            protocol: PROTOCOL,
            together: 0,
            peer: Vec::new(),
            heard: VecDeque::new(),
            last_beat: Instant::now(),
        }
    }

    /// The clients' port.
    pub(crate) fn clients(&self) -> String {
        self.clients.get_last_endpoint().unwrap().unwrap()
    }

    /// Another router at the same workers' port.
    pub(crate) fn start_again(&mut self) {
        let address = self.workers.get_last_endpoint().unwrap().unwrap();
        self.workers = self.context.socket(zmq::ROUTER).unwrap();
        self.workers.set_linger(0).unwrap();
        let until = Instant::now() + PATIENCE;
        while self.workers.bind(&address).is_err() {
            assert!(Instant::now() < until, "{address} is not free again");
            std::thread::sleep(Duration::from_millis(10));
        }
        self.epoch.0 += 1;
        self.peer.clear();
        self.heard.clear();
    }

    /// Says something to the worker that spoke last.
    pub(crate) fn send(&self, message: &FromRouter) {
        let mut frames = vec![self.peer.clone()];
        frames.extend(message.encode());
        self.workers.send_multipart(frames, 0).unwrap();
    }

    /// Says several words in one message to the worker that spoke last.
    pub(crate) fn send_together(&self, words: &[FromRouter]) {
        let mut batch = Batch::default();
        assert!(words.iter().all(|word| word.pack(&mut batch)));
        for message in batch.messages(true) {
            let peer = [self.peer.as_slice()];
            self.workers.send_multipart(peer.iter().chain(message.frames()), 0).unwrap();
        }
    }

    /// Waits for `Hello` and answers it; whatever else comes first gets `SayHello`.
    pub(crate) fn welcome(&mut self, scenario: &Scenario) -> Hello {
        let hello = self.until(|word| match word {
            FromWorker::Hello(hello) => Some(*hello),
            _ => None,
        });
        self.send(&FromRouter::Welcome(Box::new(Welcome {
            protocol: self.protocol,
            epoch: self.epoch,
            desired: vec![scenario.version()],
            images: scenario.images(),
            inputs: scenario.inputs(),
            heartbeat_ms: 500,
            silence_ms: 2_000,
        })));
        hello
    }

    /// The next word that `pick` takes.
    pub(crate) fn until<T>(&mut self, mut pick: impl FnMut(FromWorker) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < until, "the worker did not say what was expected");
            if let Some(picked) = self.next().and_then(&mut pick) {
                return picked;
            }
        }
    }

    pub(crate) fn ready(&mut self) {
        self.until(|word| matches!(word, FromWorker::Ready(_)).then_some(()));
    }

    pub(crate) fn accepted(&mut self) {
        self.until(|word| matches!(word, FromWorker::Accepted(_)).then_some(()));
    }

    pub(crate) fn result(&mut self) -> JobResult {
        self.until(|word| if let FromWorker::Result(result) = word { Some(*result) } else { None })
    }

    pub(crate) fn returned(&mut self) -> Returned {
        self.until(|word| if let FromWorker::Returned(returned) = word { Some(returned) } else { None })
    }

    pub(crate) fn failed(&mut self) -> VersionFailed {
        self.until(|word| if let FromWorker::Failed(failed) = word { Some(*failed) } else { None })
    }

    fn next(&mut self) -> Option<FromWorker> {
        if let Some(word) = self.heard.pop_front() {
            return Some(word);
        }
        self.beat();
        let mut items = [self.clients.as_poll_item(zmq::POLLIN), self.workers.as_poll_item(zmq::POLLIN)];
        zmq::poll(&mut items, 100).unwrap();
        if items[0].is_readable() {
            self.answer();
        }
        let mut frames = self.workers.recv_multipart(zmq::DONTWAIT).ok()?;
        let peer = frames.remove(0);
        let words: Vec<FromWorker> = FromWorker::decode_each(&frames).map(Result::unwrap).collect();
        if self.peer.is_empty() && !matches!(words.first(), Some(FromWorker::Hello(_))) {
            let mut frames = vec![peer];
            frames.extend(FromRouter::SayHello.encode());
            self.workers.send_multipart(frames, 0).unwrap();
            return None;
        }
        self.peer = peer;
        self.together = self.together.max(words.len());
        self.heard.extend(words);
        self.heard.pop_front()
    }

    fn beat(&mut self) {
        if !self.peer.is_empty() && self.last_beat.elapsed() > Duration::from_millis(400) {
            self.send(&FromRouter::Heartbeat);
            self.last_beat = Instant::now();
        }
    }

    /// The only question that comes to the clients' port.
    fn answer(&mut self) {
        let mut frames = self.clients.recv_multipart(0).unwrap();
        let request: serde_json::Value = serde_json::from_slice(&frames.pop().unwrap()).unwrap();
        assert_eq!(request["action"], "configure_worker");
        self.asked += 1;
        let address = self.workers.get_last_endpoint().unwrap().unwrap();
        let port: u16 = address.rsplit_once(':').unwrap().1.parse().unwrap();
        let answer = json!({
            "status": {"ok": true, "status_code": 200, "message": ""},
            "response": {"workers_port": port, "server_key": null, "epoch": self.epoch},
            "context": {"timing": {"start_time": 0, "end_time": 0, "duration_milliseconds": 0}},
        });
        frames.push(answer.to_string().into_bytes());
        self.clients.send_multipart(frames, 0).unwrap();
    }
}
