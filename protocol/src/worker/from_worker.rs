//! What a worker says.

use serde::{Deserialize, Serialize};

use super::{DecodeError, TrackVersion, frame, json, unknown, word};
use crate::build::LogPage;
use crate::channel::{Channel, Topics};
use crate::name::{PoolName, WorkerName};
use crate::reason::Reason;
use crate::token::{Epoch, Incarnation, JobKey, Token};

/// A message from a worker.
#[derive(Debug, Clone, PartialEq)]
pub enum FromWorker {
    /// Who it is and what it holds: the first message, and the answer to `SayHello`.
    Hello(Box<Hello>),
    /// A version can be run now.
    Ready(TrackVersion),
    /// A version cannot be made ready.
    Failed(VersionFailed),
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
    /// The version of these words.
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
    /// The reason's word, of status 511 or 512.
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Which.
    pub token: Token,
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

/// How a job ended.
#[derive(Debug, Clone, PartialEq)]
pub struct JobResult {
    /// Which attempt.
    pub token: Token,
    /// The job's key, by which a restarted router knows it.
    pub key: JobKey,
    /// The verdict.
    pub verdict: Verdict,
    /// What the job used.
    pub usage: Usage,
    /// The response: one JSON value, or empty if there is none.
    pub response: Vec<u8>,
    /// The context: one JSON object, `usage` not in it.
    pub context: Vec<u8>,
}

/// A verdict on the wire: status code and reason's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The status code.
    pub status_code: u16,
    /// The reason's word.
    pub reason: String,
    /// What happened, for people.
    pub message: String,
}

impl Verdict {
    /// The verdict of a reason.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { status_code: reason.code(), reason: reason.word().to_owned(), message: message.into() }
    }

    /// The reason; `WorkerInternal` for one that this version does not know.
    #[must_use]
    pub fn known_reason(&self) -> Reason {
        Reason::find(self.status_code, &self.reason).unwrap_or(Reason::WorkerInternal)
    }
}

/// What a job used. Times are milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// From the router's receipt to the dispatch; the router fills it in.
    pub queue_ms: u64,
    /// Fetching the submission and making the file system.
    pub setup_ms: u64,
    /// From the call of the runtime to the start of the container's first process.
    pub launch_ms: u64,
    /// The container's run.
    pub wall_ms: u64,
    /// Processor time in user mode, all processes.
    pub cpu_user_ms: u64,
    /// Processor time in the kernel, all processes.
    pub cpu_sys_ms: u64,
    /// The most memory at a time.
    pub memory_peak_bytes: u64,
    /// The most processes and threads at a time.
    pub pids_peak: u64,
    /// Bytes written to standard output, as far as they were counted.
    pub stdout_bytes: u64,
    /// Bytes written to standard error, as far as they were counted.
    pub stderr_bytes: u64,
}

/// A result's JSON frame.
#[derive(Serialize, Deserialize)]
struct ResultHeader {
    token: Token,
    key: JobKey,
    #[serde(flatten)]
    verdict: Verdict,
    #[serde(default)]
    usage: Usage,
}

impl FromWorker {
    /// The message's word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
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
        let word = self.word().as_bytes().to_vec();
        let body = match self {
            Self::Hello(hello) => frame(&hello),
            Self::Ready(version) | Self::Unready(version) => frame(&version),
            Self::Failed(failed) => frame(&failed),
            Self::Accepted(accepted) => frame(&accepted),
            Self::Log(log) => frame(&log),
            Self::Returned(returned) => frame(&returned),
            Self::Heartbeat(load) => frame(&load),
            Self::Draining | Self::Goodbye => b"{}".to_vec(),
            Self::Result(result) => {
                let JobResult { token, key, verdict, usage, response, context } = *result;
                return vec![word, frame(&ResultHeader { token, key, verdict, usage }), response, context];
            }
        };
        vec![word, body]
    }

    /// Reads a message's frames.
    ///
    /// # Errors
    /// For anything that [`encode`](Self::encode) would not have made, but for added fields.
    pub fn decode<F: AsRef<[u8]> + Into<Vec<u8>>>(frames: Vec<F>) -> Result<Self, DecodeError> {
        Ok(match word(&frames)? {
            "Hello" => Self::Hello(json("Hello", &frames)?),
            "Ready" => Self::Ready(json("Ready", &frames)?),
            "Failed" => Self::Failed(json("Failed", &frames)?),
            "Unready" => Self::Unready(json("Unready", &frames)?),
            "Accepted" => Self::Accepted(json("Accepted", &frames)?),
            "Result" => Self::Result(Box::new(result(frames)?)),
            "Log" => Self::Log(json("Log", &frames)?),
            "Returned" => Self::Returned(json("Returned", &frames)?),
            "Heartbeat" => Self::Heartbeat(json("Heartbeat", &frames)?),
            "Draining" => Self::Draining,
            "Goodbye" => Self::Goodbye,
            other => return Err(unknown(other)),
        })
    }
}

fn result<F: AsRef<[u8]> + Into<Vec<u8>>>(frames: Vec<F>) -> Result<JobResult, DecodeError> {
    let count = frames.len();
    let Ok([_, header, response, context]) = <[F; 4]>::try_from(frames) else {
        return Err(DecodeError::Frames { word: "Result", frames: count });
    };
    let ResultHeader { token, key, verdict, usage } = serde_json::from_slice(header.as_ref())
        .map_err(|source| DecodeError::Json { word: "Result", source })?;
    Ok(JobResult { token, key, verdict, usage, response: response.into(), context: context.into() })
}
