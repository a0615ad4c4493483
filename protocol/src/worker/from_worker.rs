//! What a worker says.

use serde::{Deserialize, Serialize};

use super::{Batch, DecodeError, TrackVersion, Words, json, unknown, word, write};
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

/// A result's JSON frame, as it is written.
#[derive(Serialize)]
struct ResultHeader<'a> {
    token: Token,
    key: JobKey,
    #[serde(flatten)]
    verdict: &'a Verdict,
    usage: &'a Usage,
}

/// A result's JSON frame, as it is read: field by field, because what is flattened is read twice.
#[derive(Deserialize)]
struct ReadHeader {
    token: Token,
    key: JobKey,
    status_code: u16,
    reason: String,
    message: String,
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
        let (word, mut body) = (self.word().as_bytes().to_vec(), Vec::new());
        self.write_body(&mut body);
        match self {
            Self::Result(result) => vec![word, body, result.response, result.context],
            _ => vec![word, body],
        }
    }

    /// Adds the message to a batch, unless that must be sent first. `memory` is overwritten.
    pub fn pack(&self, batch: &mut Batch, memory: &mut Vec<u8>) -> bool {
        memory.clear();
        self.write_body(memory);
        let word = self.word().as_bytes();
        match self {
            Self::Result(result) => batch.push(&[word, memory, &result.response, &result.context]),
            _ => batch.push(&[word, memory]),
        }
    }

    fn write_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello(hello) => write(hello, out),
            Self::Ready(version) | Self::Unready(version) => write(version, out),
            Self::Failed(failed) => write(failed, out),
            Self::Accepted(accepted) => write(accepted, out),
            Self::Log(log) => write(log, out),
            Self::Returned(returned) => write(returned, out),
            Self::Heartbeat(load) => write(load, out),
            Self::Draining | Self::Goodbye => out.extend_from_slice(b"{}"),
            Self::Result(result) => {
                let JobResult { token, key, verdict, usage, .. } = &**result;
                write(&ResultHeader { token: *token, key: *key, verdict, usage }, out);
            }
        }
    }

    /// Reads a message: the words of a batch, or the one that it is.
    pub fn decode_each<F: AsRef<[u8]>>(frames: &[F]) -> impl Iterator<Item = Result<Self, DecodeError>> {
        Words::of(frames).map(|word| Self::decode(word?.frames()))
    }

    /// Reads the frames of one word.
    ///
    /// # Errors
    /// For anything that [`encode`](Self::encode) would not have made, but for added fields.
    pub fn decode<F: AsRef<[u8]>>(frames: &[F]) -> Result<Self, DecodeError> {
        Ok(match word(frames)? {
            "Hello" => Self::Hello(json("Hello", frames)?),
            "Ready" => Self::Ready(json("Ready", frames)?),
            "Failed" => Self::Failed(json("Failed", frames)?),
            "Unready" => Self::Unready(json("Unready", frames)?),
            "Accepted" => Self::Accepted(json("Accepted", frames)?),
            "Result" => Self::Result(Box::new(result(frames)?)),
            "Log" => Self::Log(json("Log", frames)?),
            "Returned" => Self::Returned(json("Returned", frames)?),
            "Heartbeat" => Self::Heartbeat(json("Heartbeat", frames)?),
            "Draining" => Self::Draining,
            "Goodbye" => Self::Goodbye,
            other => return Err(unknown(other)),
        })
    }
}

fn result(frames: &[impl AsRef<[u8]>]) -> Result<JobResult, DecodeError> {
    let [_, header, response, context] = frames else {
        return Err(DecodeError::Frames { word: "Result", frames: frames.len() });
    };
    let ReadHeader { token, key, status_code, reason, message, usage } =
        serde_json::from_slice(header.as_ref())
            .map_err(|source| DecodeError::Json { word: "Result", source })?;
    let verdict = Verdict { status_code, reason, message };
    let [response, context] = [response, context].map(|frame| frame.as_ref().to_vec());
    Ok(JobResult { token, key, verdict, usage, response, context })
}
