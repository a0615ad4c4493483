//! The context of an answer, as far as the worker knows it. No path of this machine and no credential goes in.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::version::Digest;

/// One JSON object; the router adds its own fields.
#[derive(Debug, Serialize)]
pub(super) struct Context<'a> {
    pub(super) exercise_slug: &'a str,
    pub(super) invocation: Invocation,
    pub(super) exit_status: Option<i32>,
    pub(super) logs: Vec<String>,
    pub(super) outputs: BTreeMap<String, Output>,
    pub(super) limits: &'a Limits,
    pub(super) image: ImageName<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error_detail: Option<String>,
}

/// What was run and what it said.
#[derive(Debug, Serialize)]
pub(super) struct Invocation {
    pub(super) cmd: String,
    pub(super) success: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) truncated: bool,
}

/// Which image it was.
#[derive(Debug, Serialize)]
pub(super) struct ImageName<'a> {
    pub(super) reference: &'a str,
    pub(super) digest: &'a Digest,
}

/// A file that the tool wrote beside its result.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Output {
    /// Passed on as it is.
    Json(Box<RawValue>),
    /// Any other text.
    Text(String),
}

impl Output {
    /// A file's bytes, as they are if its name says JSON and they are.
    pub(super) fn of(name: &str, bytes: &[u8]) -> Self {
        let json = name.ends_with(".json").then(|| serde_json::from_slice::<&RawValue>(bytes).ok()).flatten();
        match json {
            Some(json) => Self::Json(json.to_owned()),
            None => Self::Text(String::from_utf8_lossy(bytes).into_owned()),
        }
    }
}

impl Context<'_> {
    /// The bytes; only types whose serialisation cannot fail are in it.
    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_else(|_| b"{}".to_vec())
    }

    /// Leaves away what is largest and least missed; false if there is nothing left to drop.
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
