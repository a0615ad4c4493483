//! A client: it keeps some requests in flight, and sends those again that a dead router left without an answer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use trackyard_protocol::answer::Answer;
use trackyard_protocol::client::Client;

use super::clock::{Clock, Time};
use super::fleet::Submissions;
use super::history::{History, ReceivedAnswer, Sent};
use super::plan::{Job, Source};
use crate::request::{test_solution, version, with};

const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How long after its last sending a request may still be answered.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// The track of all jobs.
pub(super) const TRACK: &str = "shell";

/// What clients know of the router.
pub(super) struct RouterEndpoint {
    pub(super) address: String,
    /// Counts the router's starts and deaths; odd while it is down.
    pub(super) generation: AtomicU64,
}

impl RouterEndpoint {
    pub(super) fn is_down(&self) -> bool {
        !self.generation.load(Ordering::SeqCst).is_multiple_of(2)
    }
}

/// What all clients of a run share.
pub(super) struct ClientContext<'a> {
    pub(super) router: &'a RouterEndpoint,
    pub(super) submissions: &'a Submissions,
    pub(super) history: &'a Mutex<History>,
    pub(super) clock: Clock,
}

pub(super) fn lock(history: &Mutex<History>) -> MutexGuard<'_, History> {
    history.lock().unwrap_or_else(PoisonError::into_inner)
}

struct ClientState<'a> {
    context: &'a ClientContext<'a>,
    number: usize,
    /// The router's generation to which the socket is connected.
    generation: u64,
    socket: Client,
    pending: BTreeMap<String, (Job, Time)>,
}

/// Sends `jobs` and waits for their answers, with at most `window` requests in flight.
pub(super) fn run_client(
    context: &ClientContext<'_>,
    number: usize,
    window: usize,
    jobs: impl Iterator<Item = Job>,
) {
    let (generation, socket) = connect(context.router);
    let mut client = ClientState { context, number, generation, socket, pending: BTreeMap::new() };
    let mut jobs = jobs.peekable();
    while jobs.peek().is_some() || client.awaits_answers() {
        let generation = context.router.generation.load(Ordering::SeqCst);
        if generation != client.generation && generation.is_multiple_of(2) {
            client.resend_pending();
        }
        while generation == client.generation
            && client.pending.len() < window
            && let Some(job) = jobs.next()
        {
            client.send(job);
        }
        client.receive(POLL_INTERVAL);
    }
}

/// Connects to the router once it is up. Returns its generation with the connection.
fn connect(router: &RouterEndpoint) -> (u64, Client) {
    loop {
        let generation = router.generation.load(Ordering::SeqCst);
        if generation.is_multiple_of(2) {
            return (generation, Client::connect(&router.address).expect("the router's address"));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

impl ClientState<'_> {
    /// Returns false once every request is answered or has waited for [`ANSWER_TIMEOUT`].
    fn awaits_answers(&self) -> bool {
        let now = self.context.clock.now();
        self.pending.values().any(|(_, sent)| now < *sent + ANSWER_TIMEOUT)
    }

    /// Takes what the dead router still answered, then sends the pending requests to the new one. The connection is a
    /// new one too, so that requests that the old one had not sent yet are dropped with it.
    fn resend_pending(&mut self) {
        while self.receive(Duration::ZERO) {}
        (self.generation, self.socket) = connect(self.context.router);
        for (job, _) in std::mem::take(&mut self.pending).into_values() {
            self.send(job);
        }
    }

    fn send(&mut self, job: Job) {
        let uri = self.context.submissions.store(&job);
        let request = request(&job, &uri);
        let at = self.context.clock.now();
        lock(self.context.history).request_sent(&job, Sent { at, client: self.number });
        if self.socket.send(&request).is_err() {
            lock(self.context.history).problems.push(format!("{} could not be sent", job.id));
        }
        self.pending.insert(job.id.clone(), (job, at));
    }

    /// Takes one answer. Returns false if none came within `timeout`.
    fn receive(&mut self, timeout: Duration) -> bool {
        let Ok(answer) = self.socket.receive(timeout) else { return false };
        let at = self.context.clock.now();
        let id = text(&answer.context, "id").unwrap_or_default();
        lock(self.context.history).answer_received(&id, received(&answer, at, self.number));
        if let Some((job, _)) = self.pending.remove(&id) {
            self.context.submissions.remove(&job);
        }
        true
    }
}

fn request(job: &Job, uri: &str) -> Value {
    let request = test_solution(&job.id, TRACK, uri, &version(job.version));
    let millis = u64::try_from(job.deadline.as_millis()).unwrap_or(u64::MAX);
    with(request, "deadline_ms", json!(millis))
}

fn received(answer: &Answer, at: Time, client: usize) -> ReceivedAnswer {
    let attempt = answer.context.get("attempt").and_then(Value::as_u64);
    ReceivedAnswer {
        at,
        client,
        code: answer.status.status_code,
        reason: answer.status.reason.clone().unwrap_or_default(),
        wrote: text(&answer.response, "id"),
        worker: text(&answer.context, "worker"),
        attempt: attempt.and_then(|attempt| u32::try_from(attempt).ok()),
    }
}

fn text(value: &Value, field: &str) -> Option<String> {
    value.get(field).and_then(Value::as_str).map(ToOwned::to_owned)
}

/// Returns the path of a job's submission below its bucket or directory.
pub(super) fn submission_path(job: &Job) -> String {
    match job.source {
        Source::S3 => format!("jobs/{}", job.id),
        Source::Dir => job.id.clone(),
    }
}
