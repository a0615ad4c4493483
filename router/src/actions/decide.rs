//! Checks a request and decides what to do with it.

use serde_json::json;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::{Action, Refusal, Request, Shape};

use super::reply::Reply;
use super::{BackgroundTask, DecidedRequest, Decision, RequestContext, build, configure, job, views};
use crate::caller::Role;

/// Decides what to do with a message of `bytes` bytes, given the result of reading its shape.
pub fn decide(
    shape: Result<Shape<'_>, (Refusal, Option<String>)>,
    bytes: usize,
    context: &mut RequestContext<'_>,
) -> DecidedRequest {
    let shape = match shape {
        Ok(shape) => shape,
        Err((refusal, id)) => {
            return DecidedRequest { action: None, id, decision: Decision::Reply(refusal.into()) };
        }
    };
    let action = shape.action;
    let id = shape.id().map(str::to_owned);
    let decision = check_and_decide(shape, bytes, context).unwrap_or_else(Decision::Reply);
    DecidedRequest { action: Some(action), id, decision }
}

fn check_and_decide(
    shape: Shape<'_>,
    bytes: usize,
    context: &mut RequestContext<'_>,
) -> Result<Decision, Reply> {
    let action = shape.action;
    check_role(action, context)?;
    let request = shape.check()?;
    if context.draining && action.needs_administrator() {
        return Err(Reply::error(Reason::RouterDraining, ""));
    }
    decide_request(request, bytes, context)
}

fn check_role(action: Action, context: &mut RequestContext<'_>) -> Result<(), Reply> {
    if context.caller.is_none() && !action.needs_administrator() {
        return Ok(());
    }
    let message = match (context.role)() {
        Role::Nobody => "this key may not send anything; the router's administrator can allow it".to_owned(),
        Role::Submitter if action.needs_administrator() => {
            format!("{action} needs an administrator: ask from the router's machine, or with a key")
        }
        Role::Submitter | Role::Administrator => return Ok(()),
    };
    Err(Reply::error(Reason::Forbidden, message))
}

fn decide_request(request: Request, bytes: usize, context: &RequestContext<'_>) -> Result<Decision, Reply> {
    let versions = &context.config.container_versions;
    Ok(match request {
        Request::Job(request) => Decision::Job(Box::new(job::new_job(request, bytes, context)?)),
        Request::Build(request) => Decision::Job(Box::new(build::new_build(request, bytes, context.config)?)),
        Request::BuildLog { build, from } => {
            let key = build::job_key(&build, context.config)?;
            Decision::Reply(Reply::ok(&(context.progress)(key, from)))
        }
        Request::Deploy(_) | Request::Unload(_) | Request::Update { .. }
            if context.config.cluster.is_loading =>
        {
            return Err(job::versions_loading());
        }
        Request::Deploy(version) => Decision::Background(BackgroundTask::Deploy(version)),
        Request::Unload(version) => {
            job::known_track(versions, &version.tooling)?;
            Decision::Background(BackgroundTask::Unload(version))
        }
        Request::Update { tooling, versions } => {
            Decision::Background(BackgroundTask::Update { tooling, versions })
        }
        Request::ListAvailable(tooling) => Decision::Background(BackgroundTask::ListAvailable(tooling)),
        Request::CurrentConfig => Decision::Reply(views::container_versions(versions)),
        Request::DescribeWorkers => Decision::Reply(views::workers_info(&(context.snapshot)())),
        Request::WorkerStatus => Decision::Reply(views::workers_status(versions, &(context.snapshot)())),
        Request::DeploymentCheck(tooling) => {
            let deployed = job::known_track(versions, &tooling)?;
            Decision::Reply(views::deployment_check(&tooling, deployed, &(context.snapshot)()))
        }
        Request::ConfigureWorker { channel, topics } => {
            Decision::Reply(configure::reply(channel, &topics, context))
        }
        Request::RestartWorkers => {
            let text = "every worker finishes its running jobs, then bootstraps again";
            Decision::RestartWorkers(Reply::ok(&json!({"message": text})))
        }
        Request::RestartRouter => {
            let text = "the router answers all accepted requests, then starts again";
            Decision::RestartRouter(Reply::ok(&json!({"message": text})))
        }
    })
}
