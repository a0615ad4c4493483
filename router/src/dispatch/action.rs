//! What the dispatcher tells its caller to do.

use std::ops::Deref;
use std::sync::Arc;

use trackyard_protocol::name::WorkerName;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::Tooling;
use trackyard_protocol::worker::{FromRouter, Usage};

use super::{Peer, Time, Waiter};

/// One thing for the caller to do.
#[derive(Debug, Clone)]
pub enum Action {
    /// Answer a client. Each waiter gets exactly one answer.
    Answer {
        /// The request to answer.
        waiter: Waiter,
        /// The answer.
        answer: JobAnswer,
    },
    /// Send a message to a worker. If its connection is closed or accepts nothing more, the caller reports
    /// [`Event::Disconnected`](super::Event::Disconnected).
    Send {
        /// The worker's connection.
        peer: Peer,
        /// The message.
        message: FromRouter,
    },
    /// Increment a counter.
    Count(Counter),
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// The verdict.
    pub reason: Reason,
    /// What happened, for people; empty if the reason's own text says everything.
    pub message: String,
    /// The resources that the job used, with `queue_ms`; `None` if no worker answered.
    pub usage: Option<Usage>,
    /// What the container wrote.
    pub output: Option<Output>,
    /// The worker that ran it.
    pub worker: Option<WorkerName>,
    /// The attempt that gave the answer, from 1.
    pub attempt: Option<u32>,
    /// Details of an error.
    pub error_detail: Option<String>,
}

impl Ending {
    /// The ending of a job that no connected worker serves.
    pub(crate) fn no_worker(tooling: &Tooling) -> Self {
        let Tooling { channel, track } = tooling;
        Self::new(Reason::NoWorker, format!("no connected worker serves {track} of {channel}"))
    }

    /// Creates an ending that the router decides by itself.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            usage: None,
            output: None,
            worker: None,
            attempt: None,
            error_detail: None,
        }
    }
}

/// The answer to one request; the ending is shared with other requests for the same job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobAnswer {
    /// How the job ended.
    pub ending: Arc<Ending>,
    /// True if the answer was stored earlier.
    pub replayed: bool,
}

impl<E: Into<Arc<Ending>>> From<E> for JobAnswer {
    fn from(ending: E) -> Self {
        Self { ending: ending.into(), replayed: false }
    }
}

impl Deref for JobAnswer {
    type Target = Ending;
    fn deref(&self) -> &Ending {
        &self.ending
    }
}

/// The output that a worker sent with a result. The router passes it through as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// One JSON value, or empty.
    pub response: Vec<u8>,
    /// One JSON object.
    pub context: Vec<u8>,
}

impl Output {
    /// Returns the number of bytes of both parts.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.response.len() + self.context.len()
    }
}

/// Events that the metrics count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Counter {
    /// A job was sent to a worker.
    Dispatched,
    /// A job was sent again, because the attempt before was lost.
    Redelivered,
    /// A worker gave a job back without finishing it.
    Returned,
    /// A request joined a job in flight.
    Joined,
    /// A request got a stored answer.
    Replayed,
    /// A worker held a job from an earlier start of the router, which took it over.
    Adopted,
    /// A result arrived after its job had ended.
    LateResult,
    /// A worker named a token that the router never gave it.
    UnknownToken,
    /// A worker fell silent or its connection closed.
    WorkerLost,
    /// A lost worker came back with its jobs.
    WorkerReturned,
    /// A worker took the name of another that was still connected.
    NameTaken,
    /// An unknown peer was asked for a `Hello`.
    HelloRequested,
    /// A `Hello` was too long, or there were too many workers: a part or all of it was ignored.
    HelloTruncated,
    /// A job lost so many workers that it will not run again.
    Poisoned,
    /// A stored answer was evicted to make room.
    AnswerEvicted,
}

/// Collects the actions that one event leads to, with the time of the event.
#[derive(Debug)]
pub(crate) struct Effects<'a> {
    pub(crate) now: Time,
    actions: &'a mut Vec<Action>,
}

impl<'a> Effects<'a> {
    pub(crate) fn new(now: Time, actions: &'a mut Vec<Action>) -> Self {
        Self { now, actions }
    }

    pub(crate) fn answer(&mut self, waiter: Waiter, answer: impl Into<JobAnswer>) {
        self.actions.push(Action::Answer { waiter, answer: answer.into() });
    }

    pub(crate) fn send(&mut self, peer: Peer, message: FromRouter) {
        self.actions.push(Action::Send { peer, message });
    }

    pub(crate) fn count(&mut self, counter: Counter) {
        self.actions.push(Action::Count(counter));
    }
}
