//! Both ports of a router that the test drives.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::json;
use trackyard_protocol::token::Epoch;
use trackyard_protocol::worker::{
    Batch, FromRouter, FromWorker, Hello, JobResult, PROTOCOL, Returned, VersionFailed, Welcome,
};

use crate::scenario::Scenario;

const TIMEOUT: Duration = Duration::from_secs(20);

/// A router that sends what a test wants. It sends heartbeats while it waits.
pub(crate) struct Router {
    context: zmq::Context,
    clients: zmq::Socket,
    workers: zmq::Socket,
    /// This start of the router.
    pub(crate) epoch: Epoch,
    /// Number of `configure_worker` requests.
    pub(crate) bootstrap_requests: u32,
    /// The protocol version of its `Welcome`.
    pub(crate) protocol: u32,
    /// Number of messages in the largest batch.
    pub(crate) largest_batch: usize,
    peer: Vec<u8>,
    received: VecDeque<FromWorker>,
    last_heartbeat: Instant,
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
            bootstrap_requests: 0,
            protocol: PROTOCOL,
            largest_batch: 0,
            peer: Vec::new(),
            received: VecDeque::new(),
            last_heartbeat: Instant::now(),
        }
    }

    /// Returns the address of the clients' port.
    pub(crate) fn clients(&self) -> String {
        self.clients.get_last_endpoint().unwrap().unwrap()
    }

    /// Starts another router at the same workers' port.
    pub(crate) fn start_again(&mut self) {
        let address = self.workers.get_last_endpoint().unwrap().unwrap();
        self.workers = self.context.socket(zmq::ROUTER).unwrap();
        self.workers.set_linger(0).unwrap();
        let until = Instant::now() + TIMEOUT;
        while self.workers.bind(&address).is_err() {
            assert!(Instant::now() < until, "{address} is not free again");
            std::thread::sleep(Duration::from_millis(10));
        }
        self.epoch.0 += 1;
        self.peer.clear();
        self.received.clear();
    }

    /// Sends a message to the last worker.
    pub(crate) fn send(&self, message: &FromRouter) {
        let mut frames = vec![self.peer.clone()];
        frames.extend(message.encode());
        self.workers.send_multipart(frames, 0).unwrap();
    }

    /// Sends a batch to the last worker.
    pub(crate) fn send_together(&self, messages: &[FromRouter]) {
        let mut batch = Batch::default();
        assert!(messages.iter().all(|message| message.pack(&mut batch)));
        for message in batch.messages(true) {
            let peer = [self.peer.as_slice()];
            self.workers.send_multipart(peer.iter().chain(message.frames()), 0).unwrap();
        }
    }

    /// Waits for `Hello` and answers it. Any other first message is answered by `SayHello`.
    pub(crate) fn welcome(&mut self, scenario: &Scenario) -> Hello {
        let hello = self.until(|message| match message {
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

    /// Waits for the next message that `pick` takes.
    pub(crate) fn until<T>(&mut self, mut pick: impl FnMut(FromWorker) -> Option<T>) -> T {
        let until = Instant::now() + TIMEOUT;
        loop {
            assert!(Instant::now() < until, "the expected message did not come");
            if let Some(picked) = self.next().and_then(&mut pick) {
                return picked;
            }
        }
    }

    pub(crate) fn ready(&mut self) {
        self.until(|message| matches!(message, FromWorker::Ready(_)).then_some(()));
    }

    pub(crate) fn accepted(&mut self) {
        self.until(|message| matches!(message, FromWorker::Accepted(_)).then_some(()));
    }

    pub(crate) fn result(&mut self) -> JobResult {
        self.until(|message| if let FromWorker::Result(result) = message { Some(*result) } else { None })
    }

    pub(crate) fn returned(&mut self) -> Returned {
        self.until(|message| if let FromWorker::Returned(returned) = message { Some(returned) } else { None })
    }

    pub(crate) fn failed(&mut self) -> VersionFailed {
        self.until(|message| if let FromWorker::Failed(failed) = message { Some(*failed) } else { None })
    }

    fn next(&mut self) -> Option<FromWorker> {
        if let Some(message) = self.received.pop_front() {
            return Some(message);
        }
        self.heartbeat();
        let mut items = [self.clients.as_poll_item(zmq::POLLIN), self.workers.as_poll_item(zmq::POLLIN)];
        zmq::poll(&mut items, 100).unwrap();
        if items[0].is_readable() {
            self.answer();
        }
        let mut frames = self.workers.recv_multipart(zmq::DONTWAIT).ok()?;
        let peer = frames.remove(0);
        let messages: Vec<FromWorker> = FromWorker::decode_each(&frames).map(Result::unwrap).collect();
        if self.peer.is_empty() && !matches!(messages.first(), Some(FromWorker::Hello(_))) {
            let mut frames = vec![peer];
            frames.extend(FromRouter::SayHello.encode());
            self.workers.send_multipart(frames, 0).unwrap();
            return None;
        }
        self.peer = peer;
        self.largest_batch = self.largest_batch.max(messages.len());
        self.received.extend(messages);
        self.received.pop_front()
    }

    fn heartbeat(&mut self) {
        if !self.peer.is_empty() && self.last_heartbeat.elapsed() > Duration::from_millis(400) {
            self.send(&FromRouter::Heartbeat);
            self.last_heartbeat = Instant::now();
        }
    }

    /// Answers `configure_worker`, the only request of a worker.
    fn answer(&mut self) {
        let mut frames = self.clients.recv_multipart(0).unwrap();
        let request: serde_json::Value = serde_json::from_slice(&frames.pop().unwrap()).unwrap();
        assert_eq!(request["action"], "configure_worker");
        self.bootstrap_requests += 1;
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
