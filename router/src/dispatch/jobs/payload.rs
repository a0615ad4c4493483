//! The payload of an accepted job: what its worker is sent.

use std::sync::Arc;
use std::time::Duration;

use trackyard_protocol::build::BuildLimits;
use trackyard_protocol::name::JobId;
use trackyard_protocol::request::{BuildRequest, JobRequest, Tooling};
use trackyard_protocol::token::{JobKey, Token};
use trackyard_protocol::worker::{Build, FromRouter, Job as JobMessage, Task};

use crate::dispatch::ids::LaneId;
use crate::dispatch::queue::Lane;
use crate::dispatch::{JobSpec, NewJob, TimeBudget};
use trackyard_daemon::clock::millis;

/// What to run, without the parts of the request that matter only on arrival.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) lane: LaneId,
    pub(crate) tooling: Tooling,
    /// Bytes of the client's message.
    pub(crate) bytes: usize,
    kind: PayloadKind,
}

#[derive(Debug)]
enum PayloadKind {
    Run(Arc<Task>),
    Build(Box<BuildTask>),
}

#[derive(Debug)]
struct BuildTask {
    key: JobKey,
    request: BuildRequest,
    source: String,
    limits: BuildLimits,
}

impl Payload {
    /// Creates the payload of a job of this lane.
    pub(crate) fn new(new: NewJob, id: LaneId, lane: &mut Lane) -> Self {
        let NewJob { spec, key, bytes } = new;
        let (tooling, kind) = match spec {
            JobSpec::Run { request, version, limits } => {
                let JobRequest { id, tooling, exercise, input, .. } = request;
                let (channel, track) = (tooling.channel, tooling.track.clone());
                let limits = lane.share_limits(&limits);
                let task = Task { key, id, channel, track, exercise, version, input, limits };
                (tooling, PayloadKind::Run(task.into()))
            }
            JobSpec::Build { request, tooling, source, limits } => {
                (tooling, PayloadKind::Build(BuildTask { key, request, source, limits }.into()))
            }
        };
        Self { lane: id, tooling, bytes, kind }
    }

    pub(crate) const fn is_build(&self) -> bool {
        matches!(self.kind, PayloadKind::Build(_))
    }

    /// Returns the limit of its duration.
    pub(crate) fn budget(&self) -> TimeBudget {
        let wall = match &self.kind {
            PayloadKind::Run(task) => task.limits.wall,
            PayloadKind::Build(build) => build.limits.wall,
        };
        TimeBudget { wall: wall.0, is_build: self.is_build() }
    }

    /// Returns the client's id.
    pub(crate) fn id(&self) -> Option<&JobId> {
        match &self.kind {
            PayloadKind::Run(task) => Some(&task.id),
            PayloadKind::Build(build) => build.request.id.as_ref(),
        }
    }

    /// Returns the message for one attempt.
    pub(crate) fn message(&self, token: Token, attempt: u32, setup: Duration, total: Duration) -> FromRouter {
        let setup_ms = millis(setup.min(total));
        let total_ms = millis(total);
        match &self.kind {
            PayloadKind::Run(task) => {
                FromRouter::Job(JobMessage { token, attempt, setup_ms, total_ms, task: Arc::clone(task) })
            }
            PayloadKind::Build(build) => FromRouter::Build(Box::new(build.message(token, total_ms))),
        }
    }
}

impl BuildTask {
    fn message(&self, token: Token, total_ms: u64) -> Build {
        let Self { key, request, source, limits } = self;
        Build {
            token,
            key: *key,
            id: request.id.clone(),
            channel: request.tooling.channel,
            track: request.tooling.track.clone(),
            source: source.clone(),
            git_reference: request.git_reference.clone(),
            limits: *limits,
            total_ms,
        }
    }
}
