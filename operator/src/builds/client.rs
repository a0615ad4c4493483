//! The thread that talks to the router about builds. The router's client blocks, so it has a thread of its own.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use trackyard_protocol::answer::Answer;
use trackyard_protocol::build::BuildProgress;
use trackyard_protocol::client::{self, Client};
use trackyard_protocol::keys::Curve;

use super::tracker::{BuildTracker, RouterRequest};
use super::{BuildSpec, BuildStages, Builds};

/// Prefix of the ids of polls; the rest is the build's id.
const POLL_ID_PREFIX: &str = "poll-";
/// Bounds how long a new request waits while the thread waits for answers.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(250);
/// Interval at which an idle thread checks whether the operator still needs it.
const IDLE_INTERVAL: Duration = Duration::from_secs(60);

/// Starts the thread that builds with the router at `address`, if there is one, as soon as `curve` has the keys.
#[must_use]
pub fn start(address: Option<String>, curve: watch::Receiver<Option<Curve>>) -> Builds {
    let (sender, stages) = watch::channel(BuildStages::default());
    let Some(address) = address else { return Builds { requests: None, stages } };
    let (requests, receiver) = mpsc::channel();
    let client = BuildClient {
        address,
        curve,
        requests: receiver,
        stages: sender,
        tracker: BuildTracker::default(),
        router: None,
    };
    match thread::Builder::new().name("builds".to_owned()).spawn(move || client.run()) {
        Ok(_) => Builds { requests: Some(requests), stages },
        Err(error) => {
            tracing::error!(%error, "cannot start the build thread; no git reference can be built");
            Builds { requests: None, stages }
        }
    }
}

struct BuildClient {
    address: String,
    curve: watch::Receiver<Option<Curve>>,
    requests: Receiver<BuildSpec>,
    stages: watch::Sender<BuildStages>,
    tracker: BuildTracker,
    router: Option<Client>,
}

impl BuildClient {
    /// Runs until all [`Builds`] are dropped.
    fn run(mut self) {
        while self.take_requests() {
            self.connect();
            for request in self.tracker.take_due(Instant::now()) {
                self.send(&request);
            }
            self.receive();
            self.publish_stages();
        }
    }

    /// Takes the pending requests; waits for one while no build is open. Returns false once no more can come.
    fn take_requests(&mut self) -> bool {
        if self.tracker.is_idle() {
            match self.requests.recv_timeout(IDLE_INTERVAL) {
                Ok(spec) => self.on_request(spec),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        loop {
            match self.requests.try_recv() {
                Ok(spec) => self.on_request(spec),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn on_request(&mut self, spec: BuildSpec) {
        self.connect();
        if let Some(request) = self.tracker.request(spec, Instant::now()) {
            self.send(&request);
        }
    }

    /// Connects once there are keys, and again when they change.
    fn connect(&mut self) {
        if self.router.is_some() && !self.curve.has_changed().unwrap_or(false) {
            return;
        }
        let curve = self.curve.borrow_and_update().clone();
        self.router = curve.and_then(|curve| match Client::connect_with(&self.address, Some(&curve)) {
            Ok(router) => Some(router),
            Err(error) => {
                tracing::warn!(%error, "cannot connect to the router for builds");
                None
            }
        });
        if self.router.is_some() {
            self.tracker.on_reconnected(Instant::now());
        }
    }

    /// Sends a request. After a failure everything is sent again over a new connection: libzmq never retries one whose key was
    /// refused, and the router may have learnt the key since.
    fn send(&mut self, request: &RouterRequest) {
        let Some(router) = &self.router else { return };
        if let Err(error) = router.send(&to_json(request)) {
            tracing::warn!(%error, "cannot send a build request to the router; connecting again");
            self.router = None;
        }
    }

    fn receive(&mut self) {
        let Some(router) = &self.router else { return thread::sleep(RECEIVE_TIMEOUT) };
        match router.receive(RECEIVE_TIMEOUT) {
            Ok(answer) => self.on_answer(&answer),
            Err(client::Error::TimedOut { .. }) => {}
            Err(error) => tracing::warn!(%error, "cannot parse the router's answer about a build"),
        }
    }

    fn on_answer(&mut self, answer: &Answer) {
        let Some(id) = answer.context.get("id").and_then(Value::as_str) else { return };
        let Some(uid) = id.strip_prefix(POLL_ID_PREFIX) else {
            return self.tracker.on_answer(id, answer, Instant::now());
        };
        match serde_json::from_value::<BuildProgress>(answer.response.clone()) {
            Ok(progress) if answer.status.ok => self.tracker.on_polled(uid, progress.state),
            _ => tracing::warn!(status = ?answer.status, "cannot get the state of a build from the router"),
        }
    }

    fn publish_stages(&self) {
        let current = self.tracker.stages();
        self.stages.send_if_modified(|stages| {
            let has_changed = **stages != current;
            if has_changed {
                *stages = Arc::new(current);
            }
            has_changed
        });
    }
}

fn to_json(request: &RouterRequest) -> Value {
    match request {
        RouterRequest::Submit(spec) => json!({
            "action": "build_container", "id": spec.uid, "channel": spec.channel, "track_slug": spec.track,
            "git_reference": spec.git_reference,
        }),
        RouterRequest::Poll(spec) => json!({
            "action": "build_log", "id": format!("{POLL_ID_PREFIX}{}", spec.uid), "channel": spec.channel,
            "track_slug": spec.track, "git_reference": spec.git_reference,
            // A position behind the log's end: only the state is wanted, no lines.
            "from": u64::from(u32::MAX),
        }),
    }
}
