//! The context of an answer, as far as the worker knows it. It has no path of this machine and no credential.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::version::Digest;

/// The context as one JSON object. The router adds its own fields.
#[derive(Debug, Serialize)]
pub(super) struct JobContext<'a> {
    pub(super) exercise_slug: &'a str,
    pub(super) invocation: Invocation,
    pub(super) exit_status: Option<i32>,
    pub(super) logs: Vec<String>,
    pub(super) outputs: BTreeMap<String, ToolOutput>,
    pub(super) limits: &'a Limits,
    pub(super) image: ContextImage<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error_detail: Option<String>,
}

/// The command and its output.
#[derive(Debug, Serialize)]
pub(super) struct Invocation {
    pub(super) cmd: String,
    pub(super) success: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) truncated: bool,
}

/// The image that was run.
#[derive(Debug, Serialize)]
pub(super) struct ContextImage<'a> {
    pub(super) reference: &'a str,
    pub(super) digest: &'a Digest,
}

/// A file that the tool wrote beside its result.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum ToolOutput {
    /// JSON, which is passed on unchanged.
    Json(Box<RawValue>),
    /// Any other text.
    Text(String),
}

impl ToolOutput {
    /// Returns the content of a file: JSON if its name ends in `.json` and it is valid JSON, text otherwise.
    pub(super) fn of(name: &str, bytes: &[u8]) -> Self {
        let json = name.ends_with(".json").then(|| serde_json::from_slice::<&RawValue>(bytes).ok()).flatten();
        match json {
            Some(json) => Self::Json(json.to_owned()),
            None => Self::Text(String::from_utf8_lossy(bytes).into_owned()),
        }
    }
}

impl JobContext<'_> {
    /// Encodes the context. Cannot fail, because the serialisation of its types cannot fail.
    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_else(|_| b"{}".to_vec())
    }

    /// Removes the largest and least important part. Returns false if nothing is left to remove.
    pub(super) fn shrink(&mut self) -> bool {
        if !self.outputs.is_empty() {
            self.outputs.clear();
            self.logs.push("the other outputs are left out: the result would be too large".to_owned());
            return true;
        }
        let Invocation { stdout, stderr, truncated, .. } = &mut self.invocation;
        if stdout.is_empty() && stderr.is_empty() {
            return false;
        }
        let longer = if stdout.len() >= stderr.len() { stdout } else { stderr };
        let half = longer.len() / 2;
        let half = (0..=half).rev().find(|at| longer.is_char_boundary(*at)).unwrap_or_default();
        longer.truncate(half);
        *truncated = true;
        true
    }
}
