//! A job's result, as a worker sends it. Its own fields are one frame of JSON; the response and the context, which pass through
//! to the client, have a frame each.

use std::borrow::Cow;

use serde::Deserialize;

use super::DecodeError;
use crate::json::{Reader, name, object, write_as_object};
use crate::reason::Reason;
use crate::token::{JobKey, Token};

/// The result of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct JobResult {
    /// The token of the attempt.
    pub token: Token,
    /// The job's key, by which a restarted router recognises the job.
    pub key: JobKey,
    /// The verdict.
    pub verdict: Verdict,
    /// The resources that the job used.
    pub usage: Usage,
    /// The response: one JSON value, or empty if there is none.
    pub response: Vec<u8>,
    /// The context: one JSON object, without `usage`.
    pub context: Vec<u8>,
}

/// A verdict on the wire: status code and reason's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The status code.
    pub status_code: u16,
    /// The reason's name.
    pub reason: Cow<'static, str>,
    /// What happened, in words.
    pub message: String,
}

impl Verdict {
    /// Returns the verdict with this reason.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { status_code: reason.code(), reason: reason.as_str().into(), message: message.into() }
    }

    /// Returns the reason; `WorkerInternal` if this version does not know it.
    #[must_use]
    pub fn known_reason(&self) -> Reason {
        Reason::find(self.status_code, &self.reason).unwrap_or(Reason::WorkerInternal)
    }
}

/// The resources that a job used. Times are in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Time from the receipt by the router to the dispatch. The router fills it in.
    pub queue_ms: u64,
    /// Time to fetch the submission and to make the file systems.
    pub setup_ms: u64,
    /// Time from the call of the runtime to the start of the container's first process.
    pub launch_ms: u64,
    /// Wall-clock time of the container.
    pub wall_ms: u64,
    /// Processor time in user mode of all processes.
    pub cpu_user_ms: u64,
    /// Processor time in the kernel of all processes.
    pub cpu_sys_ms: u64,
    /// Peak memory use.
    pub memory_peak_bytes: u64,
    /// Peak number of processes and threads.
    pub pids_peak: u64,
    /// Bytes written to standard output. Counting stops at the limit.
    pub stdout_bytes: u64,
    /// Bytes written to standard error. Counting stops at the limit.
    pub stderr_bytes: u64,
}

write_as_object!(Usage {
    queue_ms,
    setup_ms,
    launch_ms,
    wall_ms,
    cpu_user_ms,
    cpu_sys_ms,
    memory_peak_bytes,
    pids_peak,
    stdout_bytes,
    stderr_bytes,
});

impl JobResult {
    /// Writes the frame of the result's own fields.
    pub(super) fn write_header(&self, out: &mut Vec<u8>) {
        let Self { token, key, verdict: Verdict { status_code, reason, message }, usage, .. } = self;
        let (reason, message) = (&**reason, &**message);
        object!(out, token, key, status_code, reason, message, usage);
    }

    /// Reads the frames of a `Result`.
    pub(super) fn decode(frames: &[impl AsRef<[u8]>]) -> Result<Self, DecodeError> {
        let [_, header, response, context] = frames else {
            return Err(DecodeError::Frames { message: "Result", frames: frames.len() });
        };
        let header = Header::read(header.as_ref())?;
        let (verdict, Header { token, key, usage, .. }) = (header.verdict(), header);
        let [response, context] = [response, context].map(|frame| frame.as_ref().to_vec());
        Ok(Self { token, key, verdict, usage, response, context })
    }
}

/// The frame of a result's own fields, as it is read.
#[derive(Debug, PartialEq, Deserialize)]
struct Header<'a> {
    token: Token,
    key: JobKey,
    status_code: u16,
    #[serde(borrow)]
    reason: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
    #[serde(default)]
    usage: Usage,
}

impl<'a> Header<'a> {
    fn read(json: &'a [u8]) -> Result<Self, DecodeError> {
        let malformed = |source| DecodeError::Json { message: "Result", source };
        Self::read_plain(json).map_or_else(|| serde_json::from_slice(json).map_err(malformed), Ok)
    }

    /// Reads the frame if it is as plain as a worker of this version writes it.
    fn read_plain(json: &'a [u8]) -> Option<Self> {
        let mut json = Reader::new(json)?;
        let header = Self {
            token: json.text(name!(token))?.parse().ok()?,
            key: json.text(name!(key))?.parse().ok()?,
            status_code: json.number(name!(status_code))?.try_into().ok()?,
            reason: json.text(name!(reason))?.into(),
            message: json.text(name!(message))?.into(),
            usage: Usage::read_plain(&mut json)?,
        };
        json.close()?;
        json.end().map(|()| header)
    }

    fn verdict(&self) -> Verdict {
        let known = Reason::find(self.status_code, &self.reason).map(Reason::as_str);
        let reason = known.map_or_else(|| Cow::Owned(self.reason.clone().into_owned()), Cow::Borrowed);
        Verdict { status_code: self.status_code, reason, message: self.message.clone().into_owned() }
    }
}

impl Usage {
    fn read_plain(json: &mut Reader<'_>) -> Option<Self> {
        json.open(name!(usage))?;
        let usage = Self {
            queue_ms: json.number(name!(queue_ms))?,
            setup_ms: json.number(name!(setup_ms))?,
            launch_ms: json.number(name!(launch_ms))?,
            wall_ms: json.number(name!(wall_ms))?,
            cpu_user_ms: json.number(name!(cpu_user_ms))?,
            cpu_sys_ms: json.number(name!(cpu_sys_ms))?,
            memory_peak_bytes: json.number(name!(memory_peak_bytes))?,
            pids_peak: json.number(name!(pids_peak))?,
            stdout_bytes: json.number(name!(stdout_bytes))?,
            stderr_bytes: json.number(name!(stderr_bytes))?,
        };
        json.close().map(|()| usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> Vec<u8> {
        let mut json = Vec::new();
        let usage = Usage { wall_ms: 812, pids_peak: 3, ..Usage::default() };
        let (token, key) = ("000000000000feed-7".parse().unwrap(), JobKey(9));
        let verdict = Verdict::new(Reason::WallTime, "it ran 21s; 20s are allowed");
        JobResult { token, key, verdict, usage, response: vec![], context: vec![] }.write_header(&mut json);
        json
    }

    #[test]
    fn own_results_take_the_fast_path() {
        assert!(Header::read_plain(&header()).is_some());
    }

    proptest! {
        #[test]
        fn fast_path_agrees_with_serde_json(
            at: prop::sample::Index, put in "[]{},:\" 0-9a-eé\\\\\n]{0,3}", less in 0_usize..3,
        ) {
            let mut json = header();
            let at = at.index(json.len());
            let end = json.len().min(at + less);
            json.splice(at..end, put.into_bytes());
            if let Some(header) = Header::read_plain(&json) {
                prop_assert_eq!(header, serde_json::from_slice(&json).unwrap());
            }
        }
    }
}
