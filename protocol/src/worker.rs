//! The messages between router and workers. A message is `[name, JSON]`; a `Result` has two more frames, the
//! response and the context, which pass through to the client as bytes. A [`Batch`] holds several messages.
//!
//! Fields are only ever added. An unknown message is a typed error, which the receiver counts and ignores.

mod batch;
mod from_router;
mod from_worker;
mod job;
mod result;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::name::TrackSlug;
use crate::version::PinnedVersion;

pub use batch::{BATCH, BATCHES_SINCE, Batch, Message, Messages};
pub use from_router::{Ack, Acknowledge, AfterDrain, Build, Cancel, Desired, Drain, FromRouter, Welcome};
pub use from_worker::{
    Accepted, BuildLog, FromWorker, HeldJob, HeldState, Hello, Load, Returned, VersionFailed,
};
pub use job::{Job, Task};
pub use result::{JobResult, Usage, Verdict};

/// The version of the messages. A router sends it in `Welcome`, a worker in `Hello`.
pub const PROTOCOL: u32 = 2;

/// Maximum bytes of a message from a worker, all frames together: a `Result` of 2 Mi and its header.
pub const MAX_MESSAGE_BYTES: usize = (2 << 20) + (64 << 10);

/// A version of a track; the channel is that of the worker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrackVersion {
    /// The track.
    pub track: TrackSlug,
    /// The version with its digest.
    pub version: PinnedVersion,
}

/// Why a peer's message was not understood.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The message has no frame.
    #[error("a message without frames")]
    Empty,
    /// This version does not know the message; receivers ignore and count it.
    #[error("unknown message {0:?}")]
    UnknownMessage(String),
    /// The message has the wrong number of frames.
    #[error("{message} with {frames} frames")]
    Frames {
        /// The message's name.
        message: &'static str,
        /// How many frames came.
        frames: usize,
    },
    /// The JSON does not have the form of the message.
    #[error("{message} is malformed: {source}")]
    Json {
        /// The message's name.
        message: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The batch is cut off or packed wrongly.
    #[error("a batch that is cut off or packed wrongly")]
    Packed,
    /// The message is longer than [`MAX_MESSAGE_BYTES`].
    #[error("a message of {0} bytes")]
    TooLarge(usize),
}

impl DecodeError {
    /// Returns the stable name that metrics use.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::UnknownMessage(_) => "unknown_message",
            Self::Frames { .. } => "frames",
            Self::Json { .. } => "json",
            Self::Packed => "packed",
            Self::TooLarge(_) => "too_large",
        }
    }
}

fn json<'a, T: Deserialize<'a>>(
    message: &'static str,
    frames: &'a [impl AsRef<[u8]>],
) -> Result<T, DecodeError> {
    let [_, body] = frames else { return Err(DecodeError::Frames { message, frames: frames.len() }) };
    serde_json::from_slice(body.as_ref()).map_err(|source| DecodeError::Json { message, source })
}

fn message_name(frames: &[impl AsRef<[u8]>]) -> Result<&[u8], DecodeError> {
    let size = frames.iter().map(|frame| frame.as_ref().len()).sum();
    if size > MAX_MESSAGE_BYTES {
        return Err(DecodeError::TooLarge(size));
    }
    Ok(frames.first().ok_or(DecodeError::Empty)?.as_ref())
}

fn unknown(name: &[u8]) -> DecodeError {
    DecodeError::UnknownMessage(String::from_utf8_lossy(name).chars().take(40).collect())
}

/// Writes one frame of JSON. Only types whose serialisation cannot fail are given to it; should one fail all the same,
/// the receiver gets an empty frame, which it refuses and counts.
fn write<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.clear();
    }
}
