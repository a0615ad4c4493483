//! A worker that speaks the words of the protocol and runs nothing: for scenarios about the router, where real
//! containers would only take time.

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

pub use automatic::Automatic;

/// How often a fake worker says that it is there.
const BEAT: Duration = Duration::from_millis(500);

/// A worker's introduction: the test runners' channel, `topics` (none: generic), `ready` versions as
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

/// A connection to the workers' port, driven by hand.
pub struct FakeWorker {
    socket: zmq::Socket,
    /// What it answers to `SayHello`.
    pub hello: Hello,
    heard: VecDeque<FromRouter>,
    last_beat: Instant,
}

impl FakeWorker {
    /// Connects and says `Hello`; waits for `Welcome`.
    ///
    /// # Panics
    /// When the router does not welcome it within 10 seconds.
    #[must_use]
    pub fn join(router: &Router, hello: Hello) -> Self {
        let mut worker = Self::connect(router, hello);
        worker.introduce();
        let welcome = worker.until(Duration::from_secs(10), |word| match word {
            FromRouter::Welcome(welcome) => Some(welcome),
            _ => None,
        });
        worker.hello.bootstrap = Some(welcome.expect("a Welcome").epoch);
        worker
    }

    /// Connects and says nothing.
    ///
    /// # Panics
    /// When the socket can't be made.
    #[must_use]
    pub fn connect(router: &Router, hello: Hello) -> Self {
        let socket = zmq::Context::new().socket(zmq::DEALER).expect("a socket");
        // What was said is said, also by a worker that is dropped right after.
        socket.set_linger(500).expect("a short linger");
        socket.set_sndtimeo(5_000).expect("a time-out");
        socket.connect(&router.workers()).expect("the workers' address");
        Self { socket, hello, heard: VecDeque::new(), last_beat: Instant::now() }
    }

    /// Says `Hello`.
    pub fn introduce(&self) {
        self.send(FromWorker::Hello(Box::new(self.hello.clone())));
    }

    /// Sends a word.
    pub fn send(&self, word: FromWorker) {
        self.send_raw(&word.encode());
    }

    /// Sends any frames.
    ///
    /// # Panics
    /// When the router takes nothing for five seconds.
    pub fn send_raw(&self, frames: &[Vec<u8>]) {
        self.socket.send_multipart(frames, 0).expect("send to the router");
    }

    /// The next word but heartbeats, or `None` when `wait` has passed. Beats, and answers `SayHello`, meanwhile.
    ///
    /// # Panics
    /// When the router says what no router says.
    pub fn next(&mut self, wait: Duration) -> Option<FromRouter> {
        let until = Instant::now() + wait;
        while Instant::now() < until {
            self.beat();
            let step = until.saturating_duration_since(Instant::now()).min(Duration::from_millis(50));
            let millis = i64::try_from(step.as_millis()).unwrap_or_default();
            if self.heard.is_empty() && self.socket.poll(zmq::POLLIN, millis).expect("poll") > 0 {
                let frames = self.socket.recv_multipart(0).expect("a message");
                self.heard
                    .extend(FromRouter::decode_each(&frames).map(|word| word.expect("a router's word")));
            }
            match self.heard.pop_front() {
                Some(FromRouter::Heartbeat) | None => {}
                Some(FromRouter::SayHello) => self.introduce(),
                word => return word,
            }
        }
        None
    }

    /// The next word of which `pick` makes something.
    pub fn until<T>(&mut self, wait: Duration, mut pick: impl FnMut(FromRouter) -> Option<T>) -> Option<T> {
        let until = Instant::now() + wait;
        loop {
            let word = self.next(until.saturating_duration_since(Instant::now()))?;
            if let Some(value) = pick(word) {
                return Some(value);
            }
        }
    }

    /// Waits for a job and accepts it.
    pub fn job(&mut self, wait: Duration) -> Option<Job> {
        let job = self.until(wait, |word| match word {
            FromRouter::Job(job) => Some(job),
            _ => None,
        })?;
        self.send(FromWorker::Accepted(Accepted { token: job.token }));
        Some(job)
    }

    /// Ends a job with 200 and a response that names job and worker.
    pub fn finish(&self, job: &Job) {
        self.send(FromWorker::Result(Box::new(self.result(job))));
    }

    /// The result that [`finish`](Self::finish) sends.
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

    /// What the next `Hello` tells of jobs in hand.
    pub fn holds(&mut self, jobs: Vec<HeldJob>) {
        self.hello.jobs = jobs;
    }

    fn beat(&mut self) {
        if self.last_beat.elapsed() >= BEAT {
            self.last_beat = Instant::now();
            self.send(FromWorker::Heartbeat(Load::default()));
        }
    }
}
