//! What a job is to do, once it is taken in.

use std::sync::Arc;
use std::time::Duration;

use trackyard_protocol::build::BuildLimits;
use trackyard_protocol::name::JobId;
use trackyard_protocol::request::{BuildRequest, JobRequest, Place};
use trackyard_protocol::token::{JobKey, Token};
use trackyard_protocol::worker::{Build, FromRouter, Job as JobMessage, Task};

use crate::dispatch::event::millis;
use crate::dispatch::ids::LaneId;
use crate::dispatch::queue::Lane;
use crate::dispatch::{Effort, NewJob, Order};

/// What to run, without what mattered on arrival alone.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) lane: LaneId,
    pub(crate) place: Place,
    /// Bytes of the client's message.
    pub(crate) bytes: usize,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
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

impl Work {
    /// The work of a job of this lane.
    pub(crate) fn new(new: NewJob, id: LaneId, lane: &mut Lane) -> Self {
        let NewJob { order, key, bytes } = new;
        let (place, kind) = match order {
            Order::Run { request, version, limits } => {
                let JobRequest { id, place, exercise, input, .. } = request;
                let (channel, track, limits) = (place.channel, place.track.clone(), lane.share(&limits));
                let task = Task { key, id, channel, track, exercise, version, input, limits };
                (place, Kind::Run(task.into()))
            }
            Order::Build { request, place, source, limits } => {
                (place, Kind::Build(BuildTask { key, request, source, limits }.into()))
            }
        };
        Self { lane: id, place, bytes, kind }
    }

    pub(crate) const fn is_build(&self) -> bool {
        matches!(self.kind, Kind::Build(_))
    }

    /// How much time it may take.
    pub(crate) fn effort(&self) -> Effort {
        let wall = match &self.kind {
            Kind::Run(task) => task.limits.wall,
            Kind::Build(build) => build.limits.wall,
        };
        Effort { wall: wall.0, is_build: self.is_build() }
    }

    /// The client's id.
    pub(crate) fn id(&self) -> Option<&JobId> {
        match &self.kind {
            Kind::Run(task) => Some(&task.id),
            Kind::Build(build) => build.request.id.as_ref(),
        }
    }

    /// What a worker is told for one attempt.
    pub(crate) fn message(&self, token: Token, attempt: u32, setup: Duration, total: Duration) -> FromRouter {
        let (setup_ms, total_ms) = (millis(setup.min(total)), millis(total));
        match &self.kind {
            Kind::Run(task) => {
                FromRouter::Job(JobMessage { token, attempt, setup_ms, total_ms, task: Arc::clone(task) })
            }
            Kind::Build(build) => FromRouter::Build(Box::new(build.message(token, total_ms))),
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
            channel: request.place.channel,
            track: request.place.track.clone(),
            source: source.clone(),
            git_reference: request.git_reference.clone(),
            limits: *limits,
            total_ms,
        }
    }
}
