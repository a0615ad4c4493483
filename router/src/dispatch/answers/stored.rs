//! An answer as it is stored.

use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::name::WorkerName;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::Place;
use trackyard_protocol::token::JobKey;
use trackyard_protocol::worker::Usage;

use crate::dispatch::workers::About;
use crate::dispatch::{Ending, Output, Time};

/// What an answer in the log is known by. Numbers count up and begin again after the last; there are never so many at a
/// time.
pub(super) type Number = u32;

/// What an answer takes besides its texts, its entry in an index included.
pub(super) const OVERHEAD: usize = 512;

/// What the worker serves that gave an answer to a job that was known by its key alone.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(super) channel: Channel,
    pub(super) topics: Topics,
}

impl From<&About> for Origin {
    fn from(about: &About) -> Self {
        Self { channel: about.channel, topics: about.topics.clone() }
    }
}

impl Origin {
    pub(super) fn covers(&self, place: &Place) -> bool {
        place.is_covered_by(self.channel, &self.topics)
    }
}

/// An answer that is stored.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) key: JobKey,
    pub(super) at: Time,
    /// No client had it yet, because its job outlived the router that took the request: who gave it. Rare, and so in
    /// memory of its own.
    pub(super) unclaimed: Option<Box<Origin>>,
    reason: Reason,
    attempt: Option<u32>,
    usage: Option<Usage>,
    worker: Option<WorkerName>,
    /// Mostly none, and so in memory of its own.
    words: Option<Box<Words>>,
    pub(super) texts: Option<Texts>,
}

/// What an ending says beside its reason.
#[derive(Debug)]
struct Words {
    message: String,
    error_detail: Option<String>,
}

/// Where in its page an answer's response begins, and the context after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Texts {
    pub(super) response: u32,
    pub(super) context: u32,
    pub(super) end: u32,
}

impl Stored {
    pub(super) fn new(key: JobKey, ending: &Ending, unclaimed: Option<Origin>, at: Time) -> Self {
        let Ending { reason, message, usage, output: _, worker, attempt, error_detail } = ending;
        let speaks = !message.is_empty() || error_detail.is_some();
        let words = || Words { message: message.clone(), error_detail: error_detail.clone() };
        Self {
            key,
            at,
            unclaimed: unclaimed.map(Box::new),
            reason: *reason,
            attempt: *attempt,
            usage: usage.clone(),
            worker: worker.clone(),
            words: speaks.then(|| words().into()),
            texts: None,
        }
    }

    pub(super) fn ending(&self, output: Option<Output>) -> Ending {
        let words = self.words.as_ref();
        Ending {
            reason: self.reason,
            message: words.map(|words| words.message.clone()).unwrap_or_default(),
            usage: self.usage.clone(),
            output,
            worker: self.worker.clone(),
            attempt: self.attempt,
            error_detail: words.and_then(|words| words.error_detail.clone()),
        }
    }

    pub(super) fn size(&self) -> usize {
        let texts = self.texts.map_or(0, |texts| (texts.end - texts.response) as usize);
        let words =
            self.words.as_ref().map_or(0, |words| spoken(&words.message, words.error_detail.as_ref()));
        OVERHEAD + texts + words
    }
}

/// Bytes that an answer takes.
pub(super) fn size(ending: &Ending) -> usize {
    let output = ending.output.as_ref().map_or(0, Output::bytes);
    OVERHEAD + output + spoken(&ending.message, ending.error_detail.as_ref())
}

fn spoken(message: &str, error_detail: Option<&String>) -> usize {
    message.len() + error_detail.map_or(0, String::len)
}
