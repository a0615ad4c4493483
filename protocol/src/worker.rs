//! What routers and workers say to each other. A message is `[word, JSON]`; a `Result` carries two more frames, the
//! response and the context, which pass through to the client as bytes. A [`Batch`] carries several words.
//!
//! Fields are only ever added; an unknown word is a typed error that the receiver counts and ignores.

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

pub use batch::{BATCH, BATCHES_SINCE, Batch, Message, Words};
pub use from_router::{Ack, Acknowledge, Build, Cancel, Desired, Drain, FromRouter, Then, Welcome};
pub use from_worker::{
    Accepted, BuildLog, FromWorker, HeldJob, HeldState, Hello, Load, Returned, VersionFailed,
};
pub use job::{Job, Task};
pub use result::{JobResult, Usage, Verdict};

/// The version of these words; a router says it in `Welcome`, a worker in `Hello`.
pub const PROTOCOL: u32 = 2;

/// Bytes of a whole message from a worker: a `Result` of 2 Mi and its header.
pub const MAX_MESSAGE_BYTES: usize = (2 << 20) + (64 << 10);

/// A version of a track, on a worker whose channel is known.
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
    /// There is no first frame.
    #[error("a message without frames")]
    Empty,
    /// A word that this version does not know; to be ignored and counted.
    #[error("the unknown word {0:?}")]
    UnknownWord(String),
    /// The word has another number of frames.
    #[error("{word} with {frames} frames")]
    Frames {
        /// The word.
        word: &'static str,
        /// How many frames came.
        frames: usize,
    },
    /// The JSON does not fit the word.
    #[error("{word} is malformed: {source}")]
    Json {
        /// The word.
        word: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// What a batch holds is not words.
    #[error("a batch that is cut off or packed wrongly")]
    Packed,
    /// The message is longer than [`MAX_MESSAGE_BYTES`].
    #[error("a message of {0} bytes")]
    TooLarge(usize),
}

impl DecodeError {
    /// A stable word for metrics.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::UnknownWord(_) => "unknown_word",
            Self::Frames { .. } => "frames",
            Self::Json { .. } => "json",
            Self::Packed => "packed",
            Self::TooLarge(_) => "too_large",
        }
    }
}

fn json<'a, T: Deserialize<'a>>(
    word: &'static str,
    frames: &'a [impl AsRef<[u8]>],
) -> Result<T, DecodeError> {
    let [_, body] = frames else { return Err(DecodeError::Frames { word, frames: frames.len() }) };
    serde_json::from_slice(body.as_ref()).map_err(|source| DecodeError::Json { word, source })
}

fn word(frames: &[impl AsRef<[u8]>]) -> Result<&[u8], DecodeError> {
    let size = frames.iter().map(|frame| frame.as_ref().len()).sum();
    if size > MAX_MESSAGE_BYTES {
        return Err(DecodeError::TooLarge(size));
    }
    Ok(frames.first().ok_or(DecodeError::Empty)?.as_ref())
}

fn unknown(word: &[u8]) -> DecodeError {
    DecodeError::UnknownWord(String::from_utf8_lossy(word).chars().take(40).collect())
}

/// Writes one frame of JSON. Only types whose serialisation cannot fail are given to it; should one fail all the same,
/// the receiver gets an empty frame, which it refuses and counts.
fn write<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.clear();
    }
}
