//! What the dispatcher wants done.

use std::ops::Deref;
use std::sync::Arc;

use trackyard_protocol::name::WorkerName;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::Place;
use trackyard_protocol::worker::{FromRouter, Usage};

use super::{Peer, Time, Waiter};

/// Something to do.
#[derive(Debug, Clone)]
pub enum Action {
    /// Answer a client. Each waiter gets exactly one.
    Answer {
        /// Whom.
        waiter: Waiter,
        /// What it gets.
        answer: Answer,
    },
    /// Say something to a worker. If its connection is dead or takes nothing more, the edge reports
    /// [`Event::Gone`](super::Event::Gone).
    Send {
        /// By which connection.
        peer: Peer,
        /// What.
        message: FromRouter,
    },
    /// Count something.
    Count(Counter),
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// The verdict.
    pub reason: Reason,
    /// What happened, for people; empty when the reason's own line says it all.
    pub message: String,
    /// What the job used, `queue_ms` filled in; absent if no worker answered.
    pub usage: Option<Usage>,
    /// What the container wrote.
    pub output: Option<Output>,
    /// The worker that ran it.
    pub worker: Option<WorkerName>,
    /// Which attempt gave the answer, from 1.
    pub attempt: Option<u32>,
    /// More on an error.
    pub error_detail: Option<String>,
}

impl Ending {
    /// No connected worker serves the track.
    pub(crate) fn no_worker(place: &Place) -> Self {
        let Place { channel, track } = place;
        Self::new(Reason::NoWorker, format!("no connected worker serves {track} of {channel}"))
    }

    /// An ending that no worker gave.
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

/// What a client gets: an ending, which it shares with others who wait.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// How the job ended.
    pub ending: Arc<Ending>,
    /// True if it is a stored one.
    pub replayed: bool,
}

impl<E: Into<Arc<Ending>>> From<E> for Answer {
    fn from(ending: E) -> Self {
        Self { ending: ending.into(), replayed: false }
    }
}

impl Deref for Answer {
    type Target = Ending;
    fn deref(&self) -> &Ending {
        &self.ending
    }
}

/// What a worker sent with a result; it passes through as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// One JSON value, or empty if there is none.
    pub response: Vec<u8>,
    /// One JSON object.
    pub context: Vec<u8>,
}

impl Output {
    /// Bytes of both.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.response.len() + self.context.len()
    }
}

/// What is counted for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Counter {
    /// A job was sent to a worker.
    Dispatched,
    /// A job was sent again, because the attempt before was lost.
    Redelivered,
    /// A job came back from a worker that did not run it to its end.
    Returned,
    /// A request joined a job in flight.
    Joined,
    /// A request got a stored answer.
    Replayed,
    /// A worker still held a job of an earlier start of the router.
    Adopted,
    /// A result came after its job had ended.
    LateResult,
    /// A worker named a token that it was never given.
    UnknownToken,
    /// A worker fell silent or its connection died.
    WorkerLost,
    /// A worker that was lost came back with its jobs.
    WorkerReturned,
    /// A second worker took the name of one that was still connected.
    NameTaken,
    /// Someone who is not known was asked to say hello.
    HelloRequested,
    /// A `Hello` was too long or one too many, and a part or all of it was ignored.
    HelloTruncated,
    /// A job lost so many workers that it runs no more.
    Poisoned,
    /// A stored answer was forgotten before its time, to make room.
    AnswerEvicted,
}

/// The time of an event, and the actions that it leads to.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) now: Time,
    actions: &'a mut Vec<Action>,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(now: Time, actions: &'a mut Vec<Action>) -> Self {
        Self { now, actions }
    }

    pub(crate) fn answer(&mut self, waiter: Waiter, answer: impl Into<Answer>) {
        self.actions.push(Action::Answer { waiter, answer: answer.into() });
    }

    pub(crate) fn send(&mut self, peer: Peer, message: FromRouter) {
        self.actions.push(Action::Send { peer, message });
    }

    pub(crate) fn count(&mut self, counter: Counter) {
        self.actions.push(Action::Count(counter));
    }
}
