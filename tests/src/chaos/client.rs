//! A client: it keeps some requests in flight, and sends those again that a dead router left without an answer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use trackyard_protocol::answer::Answer;
use trackyard_protocol::client::Client;

use super::clock::{Clock, Time};
use super::ledger::{Answered, Ledger, Sent};
use super::plan::{Job, Source};
use super::yard::Shelves;
use crate::request::{test_solution, version, with};

const STEP: Duration = Duration::from_millis(20);
/// After so long no answer comes any more.
const PATIENCE: Duration = Duration::from_secs(120);
/// The track of all jobs.
pub(super) const TRACK: &str = "shell";

/// What clients know of the router.
pub(super) struct Line {
    pub(super) address: String,
    /// Counts the router's lives; odd while it is down.
    pub(super) life: AtomicU64,
}

/// What all clients of a run share.
pub(super) struct Office<'a> {
    pub(super) line: &'a Line,
    pub(super) shelves: &'a Shelves,
    pub(super) ledger: &'a Mutex<Ledger>,
    pub(super) clock: Clock,
}

pub(super) fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Desk<'a> {
    office: &'a Office<'a>,
    number: usize,
    life: u64,
    socket: Client,
    pending: BTreeMap<String, (Job, Time)>,
}

/// Sends `jobs` and waits for their answers, `window` at a time.
pub(super) fn work(office: &Office<'_>, number: usize, window: usize, jobs: impl Iterator<Item = Job>) {
    let (life, socket) = dial(office.line);
    let mut desk = Desk { office, number, life, socket, pending: BTreeMap::new() };
    let mut jobs = jobs.peekable();
    while jobs.peek().is_some() || desk.waits() {
        let life = office.line.life.load(Ordering::SeqCst);
        if life != desk.life && life.is_multiple_of(2) {
            desk.ask_again();
        }
        while life == desk.life
            && desk.pending.len() < window
            && let Some(job) = jobs.next()
        {
            desk.send(job);
        }
        desk.receive(STEP);
    }
}

/// A connection to a living router.
fn dial(line: &Line) -> (u64, Client) {
    loop {
        let life = line.life.load(Ordering::SeqCst);
        if life.is_multiple_of(2) {
            return (life, Client::connect(&line.address).expect("the router's address"));
        }
        std::thread::sleep(STEP);
    }
}

impl Desk<'_> {
    /// False once all answers are there, or none is to be hoped for.
    fn waits(&self) -> bool {
        let now = self.office.clock.now();
        self.pending.values().any(|(_, sent)| now < *sent + PATIENCE)
    }

    /// What the dead router still said counts; then the same requests go to the new one, by a new connection: what the
    /// old one had not sent yet is dropped with it.
    fn ask_again(&mut self) {
        while self.receive(Duration::ZERO) {}
        (self.life, self.socket) = dial(self.office.line);
        for (job, _) in std::mem::take(&mut self.pending).into_values() {
            self.send(job);
        }
    }

    fn send(&mut self, job: Job) {
        let uri = self.office.shelves.put(&job);
        let request = request(&job, &uri);
        let at = self.office.clock.now();
        lock(self.office.ledger).sent(&job, Sent { at, client: self.number });
        if self.socket.send(&request).is_err() {
            lock(self.office.ledger).complaints.push(format!("{} could not be sent", job.id));
        }
        self.pending.insert(job.id.clone(), (job, at));
    }

    /// Takes one answer; false if there is none.
    fn receive(&mut self, wait: Duration) -> bool {
        let Ok(answer) = self.socket.receive(wait) else { return false };
        let at = self.office.clock.now();
        let id = text(&answer.context, "id").unwrap_or_default();
        lock(self.office.ledger).answered(&id, answered(&answer, at, self.number));
        if let Some((job, _)) = self.pending.remove(&id) {
            self.office.shelves.remove(&job);
        }
        true
    }
}

fn request(job: &Job, uri: &str) -> Value {
    let request = test_solution(&job.id, TRACK, uri, &version(job.version));
    let millis = u64::try_from(job.deadline.as_millis()).unwrap_or(u64::MAX);
    with(request, "deadline_ms", json!(millis))
}

fn answered(answer: &Answer, at: Time, client: usize) -> Answered {
    let attempt = answer.context.get("attempt").and_then(Value::as_u64);
    Answered {
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

/// Where a job's submission is, below its bucket or directory.
pub(super) fn place(job: &Job) -> String {
    match job.source {
        Source::S3 => format!("jobs/{}", job.id),
        Source::Dir => job.id.clone(),
    }
}
