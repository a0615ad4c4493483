//! Decides what to request of the router, and when: pure.
//!
//! A build is submitted once and then polled, because its answer may be lost when the router restarts. A build that the router
//! no longer knows is submitted again, which joins the running build or finds the image that was released meanwhile.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use trackyard_protocol::answer::Answer;
use trackyard_protocol::build::{BuildResponse, BuildState};
use trackyard_protocol::reason::Reason;

use super::{BuildSpec, BuildStage};

const POLL_INTERVAL: Duration = Duration::from_secs(3);
const MAX_BACKOFF: Duration = Duration::from_secs(300);
/// Delays before a postponed build is submitted again: from five seconds, doubled each time.
const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_secs(5))
    .with_max_delay(MAX_BACKOFF)
    .without_max_times();
/// Time after which an ended build is forgotten; the status of its object has the result by then.
const ENDED_RETENTION: Duration = Duration::from_secs(600);
/// Time without a request after which a running build is no longer polled: its object is deleted or paused.
const REQUEST_LIFETIME: Duration = Duration::from_secs(60);
/// Unknown answers in a row after which a build is submitted again. At the first, the build's own answer may be on its way.
const MAX_UNKNOWN_ANSWERS: u32 = 2;
/// Bounds of the log excerpt of a failed build.
const MAX_LOG_LINES: usize = 20;
const MAX_LOG_CHARS: usize = 4000;

/// A request to the router.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RouterRequest {
    /// Submits a build.
    Submit(BuildSpec),
    /// Asks for the state of a build.
    Poll(BuildSpec),
}

/// All requested builds, by their objects' UIDs.
#[derive(Debug, Default)]
pub(super) struct BuildTracker(HashMap<String, TrackedBuild>);

#[derive(Debug)]
struct TrackedBuild {
    spec: BuildSpec,
    stage: BuildStage,
    last_requested: Instant,
    /// When the build is polled or submitted next; once it has ended, when it is forgotten.
    due: Instant,
    /// Answers in a row in which the router did not know the build.
    unknown_answers: u32,
    backoff: ExponentialBackoff,
}

impl TrackedBuild {
    fn has_ended(&self) -> bool {
        matches!(self.stage, BuildStage::Built { .. } | BuildStage::Failed { .. })
    }

    fn is_submitted(&self) -> bool {
        !self.has_ended() && !matches!(self.stage, BuildStage::Postponed { .. })
    }

    fn on_known(&mut self, stage: BuildStage) {
        self.stage = stage;
        self.unknown_answers = 0;
    }
}

impl BuildTracker {
    /// Returns whether no build is open, so that only a new request can change anything.
    pub(super) fn is_idle(&self) -> bool {
        self.0.values().all(TrackedBuild::has_ended)
    }

    /// Adds a build, and returns its submission. The same spec again only renews the request.
    pub(super) fn request(&mut self, spec: BuildSpec, now: Instant) -> Option<RouterRequest> {
        self.0.retain(|_, build| !build.has_ended() || now < build.due);
        if let Some(build) = self.0.get_mut(&spec.uid).filter(|build| build.spec == spec) {
            build.last_requested = now;
            return None;
        }
        let build = TrackedBuild {
            spec: spec.clone(),
            stage: BuildStage::Requested,
            last_requested: now,
            due: now + POLL_INTERVAL,
            unknown_answers: 0,
            backoff: BACKOFF.build(),
        };
        self.0.insert(spec.uid.clone(), build);
        Some(RouterRequest::Submit(spec))
    }

    /// Returns the requests that are due.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<RouterRequest> {
        self.0.retain(|_, build| build.has_ended() || now < build.last_requested + REQUEST_LIFETIME);
        let due = self.0.values_mut().filter(|build| !build.has_ended() && build.due <= now);
        due.map(|build| {
            build.due = now + POLL_INTERVAL;
            if build.is_submitted() && build.unknown_answers < MAX_UNKNOWN_ANSWERS {
                return RouterRequest::Poll(build.spec.clone());
            }
            build.on_known(BuildStage::Requested);
            RouterRequest::Submit(build.spec.clone())
        })
        .collect()
    }

    /// Makes every submitted build due for another submission, over a new connection.
    pub(super) fn on_reconnected(&mut self, now: Instant) {
        for build in self.0.values_mut().filter(|build| build.is_submitted()) {
            build.unknown_answers = MAX_UNKNOWN_ANSWERS;
            build.due = now;
        }
    }

    /// Records the router's answer to a poll.
    pub(super) fn on_polled(&mut self, uid: &str, state: BuildState) {
        let Some(build) = self.0.get_mut(uid).filter(|build| build.is_submitted()) else { return };
        match state {
            BuildState::None => build.unknown_answers += 1,
            BuildState::Waiting => build.on_known(BuildStage::Waiting),
            BuildState::Running => build.on_known(BuildStage::Running),
        }
    }

    /// Records the router's answer to a submission, which says how the build ended.
    pub(super) fn on_answer(&mut self, uid: &str, answer: &Answer, now: Instant) {
        let Some(build) = self.0.get_mut(uid).filter(|build| !build.has_ended()) else { return };
        build.on_known(stage_of(answer));
        let delay = if let BuildStage::Postponed { .. } = build.stage {
            build.backoff.next().unwrap_or(MAX_BACKOFF)
        } else {
            ENDED_RETENTION
        };
        build.due = now + delay;
    }

    /// Returns the attempt and the stage of each build, by its object's UID.
    pub(super) fn stages(&self) -> HashMap<String, (String, BuildStage)> {
        self.0
            .iter()
            .map(|(uid, build)| (uid.clone(), (build.spec.attempt.clone(), build.stage.clone())))
            .collect()
    }
}

fn stage_of(answer: &Answer) -> BuildStage {
    let status = &answer.status;
    if status.ok {
        return match serde_json::from_value::<BuildResponse>(answer.response.clone()) {
            Ok(built) => BuildStage::Built { version: built.image_tag },
            Err(error) => BuildStage::Postponed { why: format!("cannot parse the router's answer: {error}") },
        };
    }
    let name = status.reason.as_deref().unwrap_or_default();
    let why = format!("{} {name}: {}", status.status_code, status.message);
    let reason = Reason::find(status.status_code, name);
    // Failures of a worker or the router say nothing about the repository.
    let may_pass = reason.is_some_and(Reason::is_retryable) || matches!(status.status_code, 500 | 506 | 510);
    if may_pass { BuildStage::Postponed { why } } else { BuildStage::Failed { why: with_log(why, answer) } }
}

/// Appends the end of the build's log.
fn with_log(why: String, answer: &Answer) -> String {
    let logs = answer.context.get("logs").and_then(serde_json::Value::as_str).unwrap_or_default();
    let skip = logs.lines().count().saturating_sub(MAX_LOG_LINES);
    let end = logs.lines().skip(skip).collect::<Vec<_>>().join("\n");
    let skip = end.chars().count().saturating_sub(MAX_LOG_CHARS);
    let end: String = end.chars().skip(skip).collect();
    if end.is_empty() { why } else { format!("{why}\n{end}") }
}
