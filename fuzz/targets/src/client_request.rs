//! Reads a client's request: its shape, then its values.

use serde_json::json;
use trackyard_builder::fetch::GitReference;
use trackyard_protocol::request::{Action, JobRequest, Refusal, Request, Shape};

/// A refusal is short, a job that is written again is the same job, and a builder can read each git reference.
pub fn run(bytes: &[u8]) {
    let shape = match Shape::read(bytes) {
        Ok(shape) => shape,
        Err((refusal, _)) => return assert_short(&refusal),
    };
    let action = shape.action;
    match shape.check() {
        Err(refusal) => assert_short(&refusal),
        Ok(Request::Job(job)) => {
            let text = to_json(action, &job);
            let again = Shape::read(text.as_bytes()).ok().and_then(|shape| shape.check().ok());
            assert_eq!(again, Some(Request::Job(job)));
        }
        Ok(Request::Build(build) | Request::BuildLog { build, .. }) => {
            let reference = build.git_reference.parse::<GitReference>();
            assert!(reference.is_ok(), "no builder accepts {:?}", build.git_reference);
        }
        Ok(_) => {}
    }
}

fn assert_short(refusal: &Refusal) {
    assert!(refusal.message.len() < 4096, "{}", refusal.message);
}

fn to_json(action: Action, job: &JobRequest) -> String {
    let mut body = json!({
        "action": action.to_string(), "id": job.id, "track_slug": job.tooling.track, "exercise_slug": job.exercise,
        "s3_uri": job.input, "container_version": job.version, "fresh": job.fresh,
    });
    let fields = body.as_object_mut().expect("it is an object");
    if let Some(timeout) = job.execution_timeout {
        fields.insert("execution_timeout".to_owned(), json!(timeout.as_secs()));
    }
    if let Some(deadline) = job.deadline {
        fields.insert("deadline_ms".to_owned(), json!(u64::try_from(deadline.as_millis()).ok()));
    }
    body.to_string()
}
