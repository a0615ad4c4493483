//! The `Result` of a build. Pure.

use std::time::Duration;

use serde::Serialize;
use trackyard_daemon::clock::millis;
use trackyard_protocol::build::{BuildLimits, BuildResponse, BuildStatus};
use trackyard_protocol::reason::Reason;
use trackyard_protocol::version::Digest;
use trackyard_protocol::worker::{Build, JobResult, Usage, Verdict};

use super::failure::BuildFailure;

/// Maximum number of characters of a verdict's message.
const MAX_MESSAGE_CHARS: usize = 1000;

/// A build that ended well.
#[derive(Debug)]
pub(super) struct BuildOutcome {
    pub(super) status: BuildStatus,
    /// `<location>/<repository>:<version>`.
    pub(super) image: String,
    pub(super) version: String,
    pub(super) digest: Digest,
}

#[derive(Serialize)]
struct Context<'a> {
    git_reference: &'a str,
    limits: &'a BuildLimits,
    #[serde(skip_serializing_if = "Option::is_none")]
    logs: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_detail: Option<&'a str>,
}

/// Returns the result of a build. The log goes into the response, or into the context if there is no response.
pub(super) fn result(
    build: &Build,
    limits: &BuildLimits,
    ended: Result<BuildOutcome, BuildFailure>,
    logs: &str,
    wall: Duration,
) -> JobResult {
    let (verdict, response, failure) = match ended {
        Ok(outcome) => {
            let message = describe(&outcome);
            let response = response(build, outcome, &message, logs);
            (Verdict::new(Reason::Ok, message), response, None)
        }
        Err(BuildFailure { reason, message }) => {
            let message: String = message.chars().take(MAX_MESSAGE_CHARS).collect();
            (Verdict::new(reason, message.clone()), Vec::new(), Some(message))
        }
    };
    let context = Context {
        git_reference: &build.git_reference,
        limits,
        logs: failure.is_some().then_some(logs),
        error_detail: failure.as_deref(),
    };
    JobResult {
        token: build.token,
        key: build.key,
        verdict,
        usage: Usage { wall_ms: millis(wall), ..Usage::default() },
        response,
        context: serde_json::to_vec(&context).unwrap_or_else(|_| b"{}".to_vec()),
    }
}

fn describe(outcome: &BuildOutcome) -> String {
    let BuildOutcome { status, image, digest, .. } = outcome;
    match status {
        BuildStatus::Built => format!("built and released {image}"),
        BuildStatus::Ignored => format!("{image} is released already, as {digest}"),
    }
}

fn response(build: &Build, outcome: BuildOutcome, message: &str, logs: &str) -> Vec<u8> {
    let response = BuildResponse {
        status: outcome.status,
        message: message.to_owned(),
        track: build.track.clone(),
        image: outcome.image,
        image_tag: outcome.version,
        git_tag: build.git_reference.clone(),
        digest: outcome.digest.to_string(),
        logs: logs.to_owned(),
    };
    serde_json::to_vec(&response).unwrap_or_default()
}
