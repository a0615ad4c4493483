//! From a message to a decision.

use std::collections::BTreeSet;

use serde_json::json;
use trackyard_protocol::build::BuildProgress;
use trackyard_protocol::keys::PublicKey;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::{Action, Place, Refusal, Request, Shape, VersionRequest};
use trackyard_protocol::token::{Epoch, JobKey};
use trackyard_protocol::version::ContainerVersion;

use super::reply::Reply;
use super::{build, configure, job, views};
use crate::caller::Role;
use crate::config::Config;
use crate::dispatch::{NewJob, Snapshot};

/// What the router knows, as far as a decision needs it. What is dear to learn is asked for only when needed.
pub struct World<'a> {
    /// The configuration in force.
    pub config: &'a Config,
    /// This start of the router.
    pub epoch: Epoch,
    /// The number of the workers' port.
    pub workers_port: u16,
    /// The router's key, which workers must know.
    pub server_key: Option<&'a PublicKey>,
    /// The key that the caller proved, or an empty one if it proved none though it had to; `None` for a plain peer.
    pub caller: Option<&'a str>,
    /// True once the router shuts down: no more changes.
    pub draining: bool,
    /// The caller's role.
    pub role: &'a mut dyn FnMut() -> Role,
    /// What the dispatcher holds.
    pub snapshot: &'a dyn Fn() -> Snapshot,
    /// How far the build with a key is, and its lines from a number on.
    pub progress: &'a dyn Fn(JobKey, u64) -> BuildProgress,
}

/// What to do with a message.
#[derive(Debug)]
pub struct Decided {
    /// The action, once it is known.
    pub action: Option<Action>,
    /// The client's id, as far as there is one.
    pub id: Option<String>,
    /// What to do.
    pub decision: Decision,
}

/// What to do.
#[derive(Debug)]
pub enum Decision {
    /// Answer at once.
    Reply(Reply),
    /// Give the job to the dispatcher.
    Job(Box<NewJob>),
    /// Ask the registry or change the deployed versions, away from the sockets.
    Errand(Errand),
    /// Answer, then let all workers bootstrap again.
    RestartWorkers(Reply),
    /// Answer, then start the router again.
    RestartRouter(Reply),
}

/// What is done away from the sockets, because it waits for files or the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand {
    /// Deploy a version.
    Deploy(VersionRequest),
    /// Unload a version.
    Unload(VersionRequest),
    /// Replace a track's versions.
    Update {
        /// The channel and track.
        place: Place,
        /// All versions it shall have.
        versions: BTreeSet<ContainerVersion>,
    },
    /// List the repository's images.
    ListAvailable(Place),
}

impl Errand {
    /// True for what changes something, which only an administrator may.
    #[must_use]
    pub const fn is_change(&self) -> bool {
        !matches!(self, Self::ListAvailable(_))
    }
}

/// Decides what to do with a message of so many bytes, whose shape was read.
pub fn decide(
    shape: Result<Shape<'_>, (Refusal, Option<String>)>,
    bytes: usize,
    world: &mut World<'_>,
) -> Decided {
    let shape = match shape {
        Ok(shape) => shape,
        Err((refusal, id)) => {
            return Decided { action: None, id, decision: Decision::Reply(refusal.into()) };
        }
    };
    let action = shape.action;
    let id = shape.id().map(str::to_owned);
    let decision = of_shape(shape, bytes, world).unwrap_or_else(Decision::Reply);
    Decided { action: Some(action), id, decision }
}

fn of_shape(shape: Shape<'_>, bytes: usize, world: &mut World<'_>) -> Result<Decision, Reply> {
    let action = shape.action;
    may(action, world)?;
    let request = shape.check()?;
    if world.draining && action.needs_administrator() {
        return Err(Reply::error(Reason::RouterDraining, ""));
    }
    of_request(request, bytes, world)
}

fn may(action: Action, world: &mut World<'_>) -> Result<(), Reply> {
    let refused = |message: String| Err(Reply::error(Reason::Forbidden, message));
    if world.caller.is_none() && !action.needs_administrator() {
        return Ok(());
    }
    match (world.role)() {
        Role::Nobody => {
            refused("this key may not send anything; the router's administrator can allow it".into())
        }
        Role::Submitter if action.needs_administrator() => {
            refused(format!("{action} needs an administrator: ask from the router's machine, or with a key"))
        }
        Role::Submitter | Role::Administrator => Ok(()),
    }
}

fn of_request(request: Request, bytes: usize, world: &World<'_>) -> Result<Decision, Reply> {
    let versions = &world.config.container_versions;
    Ok(match request {
        Request::Job(request) => Decision::Job(Box::new(job::new(request, bytes, world)?)),
        Request::Build(request) => Decision::Job(Box::new(build::new(request, bytes, world.config)?)),
        Request::BuildLog { build, from } => {
            let key = build::key(&build, world.config)?;
            Decision::Reply(Reply::ok(&(world.progress)(key, from)))
        }
        Request::Deploy(_) | Request::Unload(_) | Request::Update { .. }
            if world.config.cluster.is_loading =>
        {
            return Err(job::versions_unknown());
        }
        Request::Deploy(version) => Decision::Errand(Errand::Deploy(version)),
        Request::Unload(version) => {
            job::known_track(versions, &version.place)?;
            Decision::Errand(Errand::Unload(version))
        }
        Request::Update { place, versions } => Decision::Errand(Errand::Update { place, versions }),
        Request::ListAvailable(place) => Decision::Errand(Errand::ListAvailable(place)),
        Request::CurrentConfig => Decision::Reply(views::container_versions(versions)),
        Request::DescribeWorkers => Decision::Reply(views::workers_info(&(world.snapshot)())),
        Request::WorkerStatus => Decision::Reply(views::workers_status(versions, &(world.snapshot)())),
        Request::DeploymentCheck(place) => {
            let deployed = job::known_track(versions, &place)?;
            Decision::Reply(views::deployment_check(&place, deployed, &(world.snapshot)()))
        }
        Request::ConfigureWorker { channel, topics } => {
            Decision::Reply(configure::answer(channel, &topics, world))
        }
        Request::RestartWorkers => {
            let text = "every worker finishes its jobs in hand, then bootstraps again";
            Decision::RestartWorkers(Reply::ok(&json!({"message": text})))
        }
        Request::RestartRouter => {
            let text = "the router answers what it has accepted, then starts again";
            Decision::RestartRouter(Reply::ok(&json!({"message": text})))
        }
    })
}
