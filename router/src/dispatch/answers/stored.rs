//! The stored form of an answer.

use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::name::WorkerName;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::Tooling;
use trackyard_protocol::token::JobKey;
use trackyard_protocol::worker::Usage;

use crate::dispatch::workers::WorkerInfo;
use crate::dispatch::{Ending, Output, Time};

/// The number of an answer in the log. Numbers count up and wrap; the log never holds so many answers that two have the
/// same.
pub(super) type AnswerNumber = u32;

/// Bytes that an answer takes besides its texts and output, with its entry in the index.
pub(super) const ANSWER_OVERHEAD: usize = 512;

/// What the worker serves that answered a job of which only the key was known.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(super) channel: Channel,
    pub(super) topics: Topics,
}

impl From<&WorkerInfo> for Origin {
    fn from(info: &WorkerInfo) -> Self {
        Self { channel: info.channel, topics: info.topics.clone() }
    }
}

impl Origin {
    pub(super) fn covers(&self, tooling: &Tooling) -> bool {
        tooling.is_covered_by(self.channel, &self.topics)
    }
}

/// An answer that is stored.
#[derive(Debug)]
pub(super) struct StoredAnswer {
    pub(super) key: JobKey,
    pub(super) at: Time,
    /// The origin of an answer that no client has had, because its job outlived the router that accepted the request. Boxed
    /// because it is rare.
    pub(super) unclaimed: Option<Box<Origin>>,
    reason: Reason,
    attempt: Option<u32>,
    usage: Option<Usage>,
    worker: Option<WorkerName>,
    /// Boxed because it is rare.
    details: Option<Box<Details>>,
    pub(super) output: Option<OutputSpan>,
}

/// The texts of an ending.
#[derive(Debug)]
struct Details {
    message: String,
    error_detail: Option<String>,
}

/// The position of an answer's output in its page: the response, then the context.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutputSpan {
    pub(super) response: u32,
    pub(super) context: u32,
    pub(super) end: u32,
}

impl StoredAnswer {
    pub(super) fn new(key: JobKey, ending: &Ending, unclaimed: Option<Origin>, at: Time) -> Self {
        let Ending { reason, message, usage, output: _, worker, attempt, error_detail } = ending;
        let has_details = !message.is_empty() || error_detail.is_some();
        Self {
            key,
            at,
            unclaimed: unclaimed.map(Box::new),
            reason: *reason,
            attempt: *attempt,
            usage: usage.clone(),
            worker: worker.clone(),
            details: has_details
                .then(|| Details { message: message.clone(), error_detail: error_detail.clone() }.into()),
            output: None,
        }
    }

    pub(super) fn ending(&self, output: Option<Output>) -> Ending {
        let details = self.details.as_ref();
        Ending {
            reason: self.reason,
            message: details.map(|details| details.message.clone()).unwrap_or_default(),
            usage: self.usage.clone(),
            output,
            worker: self.worker.clone(),
            attempt: self.attempt,
            error_detail: details.and_then(|details| details.error_detail.clone()),
        }
    }

    pub(super) fn size(&self) -> usize {
        let output = self.output.map_or(0, |output| (output.end - output.response) as usize);
        let details = self
            .details
            .as_ref()
            .map_or(0, |details| details_size(&details.message, details.error_detail.as_ref()));
        ANSWER_OVERHEAD + output + details
    }
}

/// Returns the bytes that an answer takes when stored.
pub(super) fn size(ending: &Ending) -> usize {
    let output = ending.output.as_ref().map_or(0, Output::bytes);
    ANSWER_OVERHEAD + output + details_size(&ending.message, ending.error_detail.as_ref())
}

fn details_size(message: &str, error_detail: Option<&String>) -> usize {
    message.len() + error_detail.map_or(0, String::len)
}
