//! A worker that speaks the protocol and runs nothing, for tests of the router, where real containers would only take
//! time.

mod automatic;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use trackyard_protocol::channel::{Channel, Topic};
use trackyard_protocol::reason::Reason;
use trackyard_protocol::token::Incarnation;
use trackyard_protocol::worker::{
    Accepted, FromRouter, FromWorker, HeldJob, Hello, Job, JobResult, Load, PROTOCOL, TrackVersion, Usage,
    Verdict,
};

use crate::router::Router;

pub use automatic::AutomaticWorker;

/// Interval between the heartbeats of a fake worker.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);

/// Creates the `Hello` of a test runner: `topics` (empty for a generic worker), and `ready` versions as
/// `(track, pinned version)`.
///
/// # Panics
/// When a name is not valid.
#[must_use]
pub fn hello(name: &str, topics: &[&str], slots: u32, ready: &[(&str, &str)]) -> Hello {
    let topics = topics.iter().map(|topic| topic.parse::<Topic>().expect("a topic")).collect();
    let versions = ready
        .iter()
        .map(|(track, version)| TrackVersion {
            track: track.parse().expect("a track"),
            version: version.parse().expect("a version"),
        })
        .collect();
    let incarnation = Incarnation(u64::from(std::process::id()) << 20 | u64::from(crate::ports::free_port()));
    Hello {
        protocol: PROTOCOL,
        name: name.parse().expect("a worker's name"),
        incarnation,
        pool: None,
        channel: Channel::TestRunners,
        topics,
        slots,
        versions,
        jobs: Vec::new(),
        bootstrap: None,
        draining: false,
        release: String::new(),
    }
}

/// A connection to the workers' port, driven by the test.
pub struct FakeWorker {
    socket: zmq::Socket,
    /// The answer to `SayHello`.
    pub hello: Hello,
    received: VecDeque<FromRouter>,
    last_heartbeat: Instant,
}

impl FakeWorker {
    /// Connects, sends `Hello`, and waits for `Welcome`.
    ///
    /// # Panics
    /// When the router does not welcome it within 10 seconds.
    #[must_use]
    pub fn join(router: &Router, hello: Hello) -> Self {
        let mut worker = Self::connect(router, hello);
        worker.say_hello();
        let welcome = worker.wait_for(Duration::from_secs(10), |message| match message {
            FromRouter::Welcome(welcome) => Some(welcome),
            _ => None,
        });
        worker.hello.bootstrap = Some(welcome.expect("a Welcome").epoch);
        worker
    }

    /// Connects without sending anything.
    ///
    /// # Panics
    /// When the socket can't be made.
    #[must_use]
    pub fn connect(router: &Router, hello: Hello) -> Self {
        let socket = zmq::Context::new().socket(zmq::DEALER).expect("a socket");
        // Messages are still sent when the worker is dropped right after.
        socket.set_linger(500).expect("a short linger");
        socket.set_sndtimeo(5_000).expect("a timeout");
        socket.connect(&router.workers()).expect("the workers' address");
        Self { socket, hello, received: VecDeque::new(), last_heartbeat: Instant::now() }
    }

    /// Sends `Hello`.
    pub fn say_hello(&self) {
        self.send(FromWorker::Hello(Box::new(self.hello.clone())));
    }

    /// Sends a message.
    pub fn send(&self, message: FromWorker) {
        self.send_raw(&message.encode());
    }

    /// Sends arbitrary frames.
    ///
    /// # Panics
    /// When the router accepts nothing for five seconds.
    pub fn send_raw(&self, frames: &[Vec<u8>]) {
        self.socket.send_multipart(frames, 0).expect("send to the router");
    }

    /// Returns the next message other than a heartbeat, or `None` after `timeout`. Meanwhile it sends heartbeats and
    /// answers `SayHello`.
    ///
    /// # Panics
    /// When a message of the router is malformed.
    pub fn next(&mut self, timeout: Duration) -> Option<FromRouter> {
        let until = Instant::now() + timeout;
        while Instant::now() < until {
            self.send_heartbeat_if_due();
            let wait = until.saturating_duration_since(Instant::now()).min(Duration::from_millis(50));
            let millis = i64::try_from(wait.as_millis()).unwrap_or_default();
            if self.received.is_empty() && self.socket.poll(zmq::POLLIN, millis).expect("poll") > 0 {
                let frames = self.socket.recv_multipart(0).expect("a message");
                let messages = FromRouter::decode_each(&frames);
                self.received.extend(messages.map(|message| message.expect("a router's message")));
            }
            match self.received.pop_front() {
                Some(FromRouter::Heartbeat) | None => {}
                Some(FromRouter::SayHello) => self.say_hello(),
                message => return message,
            }
        }
        None
    }

    /// Waits for the first message for which `pick` returns a value, for at most `timeout`.
    pub fn wait_for<T>(
        &mut self,
        timeout: Duration,
        mut pick: impl FnMut(FromRouter) -> Option<T>,
    ) -> Option<T> {
        let until = Instant::now() + timeout;
        loop {
            let message = self.next(until.saturating_duration_since(Instant::now()))?;
            if let Some(value) = pick(message) {
                return Some(value);
            }
        }
    }

    /// Waits for a job and accepts it.
    pub fn job(&mut self, timeout: Duration) -> Option<Job> {
        let job = self.wait_for(timeout, |message| match message {
            FromRouter::Job(job) => Some(job),
            _ => None,
        })?;
        self.send(FromWorker::Accepted(Accepted { token: job.token }));
        Some(job)
    }

    /// Finishes a job with 200 and a response that names job and worker.
    pub fn finish(&self, job: &Job) {
        self.send(FromWorker::Result(Box::new(self.result(job))));
    }

    /// Returns the result that [`finish`](Self::finish) sends.
    #[must_use]
    pub fn result(&self, job: &Job) -> JobResult {
        let response = serde_json::json!({"id": job.id, "by": self.hello.name});
        JobResult {
            token: job.token,
            key: job.key,
            verdict: Verdict::new(Reason::Ok, ""),
            usage: Usage::default(),
            response: response.to_string().into_bytes(),
            context: b"{}".to_vec(),
        }
    }

    /// Sets the jobs that the next `Hello` reports as held.
    pub fn set_held_jobs(&mut self, jobs: Vec<HeldJob>) {
        self.hello.jobs = jobs;
    }

    fn send_heartbeat_if_due(&mut self) {
        if self.last_heartbeat.elapsed() >= HEARTBEAT_INTERVAL {
            self.last_heartbeat = Instant::now();
            self.send(FromWorker::Heartbeat(Load::default()));
        }
    }
}
