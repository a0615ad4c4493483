//! What a worker says.

use serde::{Deserialize, Serialize};

use super::result::JobResult;
use super::{Batch, DecodeError, Messages, TrackVersion, json, message_name, unknown, write};
use crate::build::LogPage;
use crate::channel::{Channel, Topics};
use crate::json::{Reader, ToJson, name, write_as_object};
use crate::name::{PoolName, WorkerName};
use crate::token::{Epoch, Incarnation, JobKey, Token};

/// A message from a worker.
#[derive(Debug, Clone, PartialEq)]
pub enum FromWorker {
    /// Who it is and what it holds: the first message, and the answer to `SayHello`.
    Hello(Box<Hello>),
    /// A version can be run now.
    Ready(TrackVersion),
    /// A version cannot be made ready.
    Failed(Box<VersionFailed>),
    /// A version can no longer be run.
    Unready(TrackVersion),
    /// A job was taken in hand.
    Accepted(Accepted),
    /// What a build has printed.
    Log(BuildLog),
    /// A job ended.
    Result(Box<JobResult>),
    /// A job was not run, or not to its end; it may run elsewhere.
    Returned(Returned),
    /// Still here.
    Heartbeat(Load),
    /// No more jobs, please.
    Draining,
    /// The last message.
    Goodbye,
}

/// Who a worker is and what it holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the messages.
    pub protocol: u32,
    /// The worker's name; the newest `Hello` of a name wins.
    pub name: WorkerName,
    /// This start of the worker.
    pub incarnation: Incarnation,
    /// Its pool, in a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolName>,
    /// Its channel.
    pub channel: Channel,
    /// What it is scoped to.
    pub topics: Topics,
    /// How many jobs it runs at a time.
    pub slots: u32,
    /// The versions that it can run now.
    pub versions: Vec<TrackVersion>,
    /// Jobs in hand and results not yet acknowledged.
    pub jobs: Vec<HeldJob>,
    /// The router's start from which it has its configuration; absent if it has none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Epoch>,
    /// True while it drains.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
    /// Its binary's version.
    #[serde(default)]
    pub release: String,
}

/// A job that a worker holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldJob {
    /// The router's token.
    pub token: Token,
    /// The job's key.
    pub key: JobKey,
    /// What became of it.
    pub state: HeldState,
}

/// What became of a job that a worker holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldState {
    /// In hand.
    Running,
    /// Ended; its `Result` is not acknowledged.
    Finished,
}

/// A version that could not be made ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionFailed {
    /// The version.
    #[serde(flatten)]
    pub version: TrackVersion,
    /// The name of a reason of status 511 or 512.
    pub reason: String,
    /// The reason's status code.
    pub status_code: u16,
    /// What happened.
    pub message: String,
    /// True if the worker tries again by itself.
    #[serde(default)]
    pub retrying: bool,
}

/// A job was taken in hand.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Accepted {
    /// Which.
    pub token: Token,
}

write_as_object!(Accepted { token });

impl Accepted {
    fn read_plain(json: &[u8]) -> Option<Self> {
        let mut json = Reader::new(json)?;
        let token = json.text(name!(token))?.parse().ok()?;
        json.close()?;
        json.end().map(|()| Self { token })
    }
}

/// What a build has printed since the last time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildLog {
    /// Which build.
    pub token: Token,
    /// The lines.
    #[serde(flatten)]
    pub page: LogPage,
}

/// A job was not run to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// Which.
    pub token: Token,
    /// Why: `draining`, `not_unpacked`, `cancelled`.
    pub why: String,
}

/// What a heartbeat tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Jobs in hand.
    #[serde(default)]
    pub busy: u32,
}

impl FromWorker {
    /// Returns the message's name, its first frame.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "Hello",
            Self::Ready(_) => "Ready",
            Self::Failed(_) => "Failed",
            Self::Unready(_) => "Unready",
            Self::Accepted(_) => "Accepted",
            Self::Log(_) => "Log",
            Self::Result(_) => "Result",
            Self::Returned(_) => "Returned",
            Self::Heartbeat(_) => "Heartbeat",
            Self::Draining => "Draining",
            Self::Goodbye => "Goodbye",
        }
    }

    /// The message's frames.
    #[must_use]
    pub fn encode(self) -> Vec<Vec<u8>> {
        let (name, mut body) = (self.name().as_bytes().to_vec(), Vec::new());
        self.write_body(&mut body);
        match self {
            Self::Result(result) => vec![name, body, result.response, result.context],
            _ => vec![name, body],
        }
    }

    /// Adds the message to a batch, unless that must be sent first. `memory` is overwritten.
    pub fn pack(&self, batch: &mut Batch, memory: &mut Vec<u8>) -> bool {
        memory.clear();
        self.write_body(memory);
        let name = self.name().as_bytes();
        match self {
            Self::Result(result) => batch.push(&[name, memory, &result.response, &result.context]),
            _ => batch.push(&[name, memory]),
        }
    }

    fn write_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello(hello) => write(hello, out),
            Self::Ready(version) | Self::Unready(version) => write(version, out),
            Self::Failed(failed) => write(failed, out),
            Self::Accepted(accepted) => accepted.to_json(out),
            Self::Log(log) => write(log, out),
            Self::Returned(returned) => write(returned, out),
            Self::Heartbeat(load) => write(load, out),
            Self::Draining | Self::Goodbye => out.extend_from_slice(b"{}"),
            Self::Result(result) => result.write_header(out),
        }
    }

    /// Reads the messages of a batch, or the one message.
    pub fn decode_each<F: AsRef<[u8]>>(frames: &[F]) -> impl Iterator<Item = Result<Self, DecodeError>> {
        Messages::of(frames).map(|message| Self::decode(message?.frames()))
    }

    /// Reads the frames of one message.
    ///
    /// # Errors
    /// For anything that [`encode`](Self::encode) would not have made, but for added fields.
    pub fn decode<F: AsRef<[u8]>>(frames: &[F]) -> Result<Self, DecodeError> {
        Ok(match message_name(frames)? {
            b"Hello" => Self::Hello(json("Hello", frames)?),
            b"Ready" => Self::Ready(json("Ready", frames)?),
            b"Failed" => Self::Failed(json("Failed", frames)?),
            b"Unready" => Self::Unready(json("Unready", frames)?),
            b"Accepted" => Self::Accepted(accepted(frames)?),
            b"Result" => Self::Result(Box::new(JobResult::decode(frames)?)),
            b"Log" => Self::Log(json("Log", frames)?),
            b"Returned" => Self::Returned(json("Returned", frames)?),
            b"Heartbeat" => Self::Heartbeat(json("Heartbeat", frames)?),
            b"Draining" => Self::Draining,
            b"Goodbye" => Self::Goodbye,
            other => return Err(unknown(other)),
        })
    }
}

fn accepted(frames: &[impl AsRef<[u8]>]) -> Result<Accepted, DecodeError> {
    let plain = frames.get(1).and_then(|body| Accepted::read_plain(body.as_ref()));
    plain.filter(|_| frames.len() == 2).map_or_else(|| json("Accepted", frames), Ok)
}
