//! The messages from router to worker.

use serde::{Deserialize, Serialize};

use super::job::Job;
use super::{Batch, DecodeError, Messages, TrackVersion, json, message_name, unknown, write};
use crate::build::BuildLimits;
use crate::channel::Channel;
use crate::json::{ToJson, write_as_object};
use crate::name::{JobId, TrackSlug};
use crate::source::{ImageSource, InputPolicy};
use crate::token::{Epoch, JobKey, Token};

/// A message from a router.
#[derive(Debug, Clone, PartialEq)]
pub enum FromRouter {
    /// The answer to `Hello`: the desired versions, image source, inputs and intervals.
    Welcome(Box<Welcome>),
    /// The desired versions from now on.
    Desired(Desired),
    /// A job for a free slot.
    Job(Job),
    /// A build for a free slot of a builder. Otherwise it is like a job.
    Build(Box<Build>),
    /// The router has a result, which the worker may forget.
    Ack(Acknowledge),
    /// No client waits for this attempt any more.
    Cancel(Cancel),
    /// The worker must take no more jobs, finish those in flight, then leave or bootstrap again.
    Drain(Drain),
    /// The sender is alive.
    Heartbeat,
    /// The router does not know this worker, which must send `Hello`.
    SayHello,
}

/// The settings of a router for a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version of the messages.
    pub protocol: u32,
    /// The start of the router.
    pub epoch: Epoch,
    /// The desired versions for the worker's channel and topics.
    pub desired: Vec<TrackVersion>,
    /// The source of images.
    pub images: ImageSource,
    /// The sources from which submissions may come.
    pub inputs: InputPolicy,
    /// Milliseconds between heartbeats.
    pub heartbeat_ms: u64,
    /// Milliseconds of silence after which the other side is lost.
    pub silence_ms: u64,
}

/// The desired versions. The worker prepares the first in the list first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// The desired versions for the worker's channel and topics.
    pub versions: Vec<TrackVersion>,
}

/// A build. The router has checked every field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Build {
    /// The token of its only attempt.
    pub token: Token,
    /// The build's key.
    pub key: JobKey,
    /// The client's id; for logs only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<JobId>,
    /// The channel that the container version is for.
    pub channel: Channel,
    /// The track.
    pub track: TrackSlug,
    /// The repository's URL, without credentials.
    pub source: String,
    /// The sha, branch or tag to build.
    pub git_reference: String,
    /// The limits to apply, `execution_timeout` already in `wall`.
    pub limits: BuildLimits,
    /// Milliseconds from dispatch to the router's own deadline.
    pub total_ms: u64,
}

/// Acknowledges a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Acknowledge {
    /// The token of the attempt.
    pub token: Token,
    /// The outcome.
    pub ack: Ack,
}

/// What the router did with a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ack {
    /// The result was delivered to a client, or stored.
    Stored,
    /// The result was dropped, because no client needs it.
    Dropped,
}

write_as_object!(Acknowledge { token, ack });

impl ToJson for Ack {
    fn to_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(match self {
            Self::Stored => br#""stored""#.as_slice(),
            Self::Dropped => br#""dropped""#,
        });
    }
}

/// Ends an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// The token of the attempt.
    pub token: Token,
}

/// Makes a worker finish, then leave or bootstrap again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// What to do once no job is in flight.
    pub then: AfterDrain,
}

/// What a worker does once it is drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterDrain {
    /// The worker leaves.
    Exit,
    /// The worker asks for its configuration again.
    Bootstrap,
}

impl FromRouter {
    /// Returns the message's name, its first frame.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Welcome(_) => "Welcome",
            Self::Desired(_) => "Desired",
            Self::Job(_) => "Job",
            Self::Build(_) => "Build",
            Self::Ack(_) => "Ack",
            Self::Cancel(_) => "Cancel",
            Self::Drain(_) => "Drain",
            Self::Heartbeat => "Heartbeat",
            Self::SayHello => "SayHello",
        }
    }

    /// Returns the frames of the message.
    #[must_use]
    pub fn encode(&self) -> Vec<Vec<u8>> {
        let mut body = Vec::new();
        self.write_body(&mut body);
        vec![self.name().as_bytes().to_vec(), body]
    }

    /// Adds the message to a batch and returns true; returns false if the batch must be sent first.
    pub fn pack(&self, batch: &mut Batch) -> bool {
        batch.push_written(self.name(), |out| self.write_body(out))
    }

    fn write_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Welcome(welcome) => write(welcome, out),
            Self::Desired(desired) => write(desired, out),
            Self::Job(job) => job.to_json(out),
            Self::Build(build) => write(build, out),
            Self::Ack(ack) => ack.to_json(out),
            Self::Cancel(cancel) => write(cancel, out),
            Self::Drain(drain) => write(drain, out),
            Self::Heartbeat | Self::SayHello => out.extend_from_slice(b"{}"),
        }
    }

    /// Reads the messages of a batch, or the one message.
    pub fn decode_each<F: AsRef<[u8]>>(frames: &[F]) -> impl Iterator<Item = Result<Self, DecodeError>> {
        Messages::of(frames).map(|message| Self::decode(message?.frames()))
    }

    /// Reads the frames of one message.
    ///
    /// # Errors
    /// If [`encode`](Self::encode) could not have made the frames; added fields are allowed.
    pub fn decode<F: AsRef<[u8]>>(frames: &[F]) -> Result<Self, DecodeError> {
        Ok(match message_name(frames)? {
            b"Welcome" => Self::Welcome(json("Welcome", frames)?),
            b"Desired" => Self::Desired(json("Desired", frames)?),
            b"Job" => Self::Job(json("Job", frames)?),
            b"Build" => Self::Build(json("Build", frames)?),
            b"Ack" => Self::Ack(json("Ack", frames)?),
            b"Cancel" => Self::Cancel(json("Cancel", frames)?),
            b"Drain" => Self::Drain(json("Drain", frames)?),
            b"Heartbeat" => Self::Heartbeat,
            b"SayHello" => Self::SayHello,
            other => return Err(unknown(other)),
        })
    }
}
