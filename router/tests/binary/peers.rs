//! Clients and workers for the tests.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trackyard_protocol::keys::Curve;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::worker::{FromRouter, FromWorker, Job, JobResult, Usage, Verdict};

use crate::harness::{Router, TIMEOUT, VERSION, pinned};

fn socket(kind: zmq::SocketType, address: &str) -> zmq::Socket {
    keyed_socket(kind, address, None)
}

pub(crate) fn keyed_socket(kind: zmq::SocketType, address: &str, curve: Option<&Curve>) -> zmq::Socket {
    let socket = zmq::Context::new().socket(kind).unwrap();
    socket.set_linger(0).unwrap();
    socket.set_rcvtimeo(i32::try_from(TIMEOUT.as_millis()).unwrap()).unwrap();
    if let Some(curve) = curve {
        curve.apply(&socket).unwrap();
    }
    socket.connect(address).unwrap();
    socket
}

pub(crate) fn dealer(router: &Router) -> zmq::Socket {
    socket(zmq::DEALER, &router.clients)
}

/// Sends a request of a REQ client, and returns the answer.
pub(crate) fn ask(router: &Router, request: &Value) -> Value {
    ask_bytes(router, request.to_string().as_bytes())
}

pub(crate) fn ask_bytes(router: &Router, request: &[u8]) -> Value {
    let client = socket(zmq::REQ, &router.clients);
    client.send(request, 0).unwrap();
    serde_json::from_slice(&client.recv_bytes(0).unwrap()).unwrap()
}

/// Sends a client's message, frame by frame, and returns the answer.
pub(crate) fn exchange(router: &Router, frames: &[&[u8]]) -> (Vec<Vec<u8>>, Value) {
    let client = dealer(router);
    client.send_multipart(frames, 0).unwrap();
    receive(&client)
}

/// Sends a DEALER's job, whose answer is [received](receive) later.
pub(crate) fn send_job(client: &zmq::Socket, id: &str) {
    client.send_multipart([b"".as_slice(), job(id).to_string().as_bytes()], 0).unwrap();
}

/// Returns the next answer: the frames before the JSON, and the JSON.
pub(crate) fn receive(client: &zmq::Socket) -> (Vec<Vec<u8>>, Value) {
    let mut frames = client.recv_multipart(0).unwrap();
    let body = frames.pop().unwrap();
    (frames, serde_json::from_slice(&body).unwrap())
}

pub(crate) fn job(id: &str) -> Value {
    json!({"action": "test_solution", "id": id, "track_slug": "ruby", "exercise_slug": "two-fer",
        "s3_uri": "s3://submissions/1", "container_version": VERSION})
}

pub(crate) fn verdict(answer: &Value) -> (u64, &str) {
    (answer["status"]["status_code"].as_u64().unwrap(), answer["status"]["reason"].as_str().unwrap())
}

/// A worker that a test controls.
pub(crate) struct Worker {
    pub(crate) socket: zmq::Socket,
}

impl Worker {
    /// Connects, sends `Hello`, and waits for `Welcome`.
    pub(crate) fn join(router: &Router, name: &str) -> Self {
        let worker = Self::connect(router, name, None);
        worker.receive(|message| matches!(message, FromRouter::Welcome(_)).then_some(()));
        worker
    }

    /// Connects and sends `Hello`. The router may refuse the connection.
    pub(crate) fn connect(router: &Router, name: &str, curve: Option<&Curve>) -> Self {
        let worker = Self { socket: keyed_socket(zmq::DEALER, &router.workers, curve) };
        let hello = json!({"protocol": 1, "name": name, "incarnation": "0000000000000001", "channel": "test_runners",
            "topics": ["ruby"], "slots": 1, "versions": [{"track": "ruby", "version": pinned()}], "jobs": []});
        worker.socket.send_multipart([b"Hello".to_vec(), hello.to_string().into_bytes()], 0).unwrap();
        worker
    }

    /// Returns the first message that `wanted` accepts; the others are dropped.
    pub(crate) fn receive<T>(&self, wanted: impl Fn(FromRouter) -> Option<T>) -> T {
        let end = Instant::now() + TIMEOUT;
        while Instant::now() < end {
            let frames = self.socket.recv_multipart(0).unwrap();
            if let Some(found) = wanted(FromRouter::decode(&frames).unwrap()) {
                return found;
            }
        }
        panic!("the message did not come");
    }

    pub(crate) fn job(&self) -> Job {
        self.receive(|message| match message {
            FromRouter::Job(job) => Some(job),
            _ => None,
        })
    }

    /// Sends the result of a job.
    pub(crate) fn finish(&self, job: &Job, response: &[u8], context: &[u8]) {
        let result = FromWorker::Result(Box::new(JobResult {
            token: job.token,
            key: job.key,
            verdict: Verdict::new(Reason::Ok, ""),
            usage: Usage { wall_ms: 7, ..Usage::default() },
            response: response.to_vec(),
            context: context.to_vec(),
        }));
        self.socket.send_multipart(result.encode(), 0).unwrap();
    }
}

/// Fails unless `work` takes less than a second: a refusal must not wait.
pub(crate) fn at_once<T>(work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    result
}
