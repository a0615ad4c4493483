//! The messages from worker to router.

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
    /// The worker and what it holds: the first message, and the answer to `SayHello`.
    Hello(Box<Hello>),
    /// A version is ready.
    Ready(TrackVersion),
    /// A version cannot be made ready.
    Failed(Box<VersionFailed>),
    /// A version is no longer ready.
    Unready(TrackVersion),
    /// The worker has started a job.
    Accepted(Accepted),
    /// The log of a build since the last message.
    Log(BuildLog),
    /// A job ended.
    Result(Box<JobResult>),
    /// A job was not run to its end, and may run elsewhere.
    Returned(Returned),
    /// The sender is alive.
    Heartbeat(Load),
    /// The worker takes no more jobs.
    Draining,
    /// The last message.
    Goodbye,
}

/// A worker and what it holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the messages.
    pub protocol: u32,
    /// The worker's name. The newest `Hello` of a name wins.
    pub name: WorkerName,
    /// The start of the worker.
    pub incarnation: Incarnation,
    /// The worker's pool, in a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolName>,
    /// The worker's channel.
    pub channel: Channel,
    /// The tracks that the worker is scoped to.
    pub topics: Topics,
    /// Number of jobs that the worker can run at a time.
    pub slots: u32,
    /// The versions that are ready.
    pub versions: Vec<TrackVersion>,
    /// Jobs in flight, and results that are not acknowledged yet.
    pub jobs: Vec<HeldJob>,
    /// The start of the router from which the worker has its configuration; absent before the first bootstrap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Epoch>,
    /// Whether the worker drains.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
    /// The version of the worker's program.
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
    /// The outcome.
    pub state: HeldState,
}

/// The state of a job that a worker holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldState {
    /// The job runs.
    Running,
    /// The job has ended, and its `Result` is not acknowledged yet.
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
    /// Whether the worker retries by itself.
    #[serde(default)]
    pub retrying: bool,
}

/// The worker has started a job.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Accepted {
    /// The token of the attempt.
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

/// The log of a build since the last message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildLog {
    /// The token of the build.
    pub token: Token,
    /// The lines.
    #[serde(flatten)]
    pub page: LogPage,
}

/// A job was not run to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// The token of the attempt.
    pub token: Token,
    /// The reason: `draining`, `not_unpacked` or `cancelled`.
    pub why: String,
}

/// The load that a heartbeat reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Number of jobs in flight.
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

    /// Returns the frames of the message.
    #[must_use]
    pub fn encode(self) -> Vec<Vec<u8>> {
        let (name, mut body) = (self.name().as_bytes().to_vec(), Vec::new());
        self.write_body(&mut body);
        match self {
            Self::Result(result) => vec![name, body, result.response, result.context],
            _ => vec![name, body],
        }
    }

    /// Adds the message to a batch and returns true; returns false if the batch must be sent first. Overwrites `memory`.
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
    /// If [`encode`](Self::encode) could not have made the frames; added fields are allowed.
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
