use rstest::rstest;
use serde_json::{Value, json};
use trackyard_protocol::build::{BuildState, LogPage};
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::Shape;

use super::*;
use crate::config::read;
use crate::dispatch::{JobSpec, Totals, WorkerView};

const A: &str = "git-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "git-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn config() -> Config {
    let digest = "c".repeat(64);
    let text = format!(
        "container_versions: {{test_runners: {{ruby: [{A}@sha256:{digest}, {B}], nim: []}}}}
limits: {{test_runners: {{ruby: {{wall: 5s, wall_max: 10s}}}}}}"
    );
    read(&text).unwrap().config
}

fn worker(name: &str, topics: Value, ready: Value) -> WorkerView {
    WorkerView {
        name: name.parse().unwrap(),
        incarnation: "0000000000000001".parse().unwrap(),
        pool: None,
        channel: trackyard_protocol::channel::Channel::TestRunners,
        topics: serde_json::from_value(topics).unwrap(),
        slots: 2,
        draining: false,
        mean_run_ms: 0,
        release: "1".to_owned(),
        silent_ms: 0,
        bootstrap: None,
        busy: 0,
        jobs: vec![],
        ready: serde_json::from_value(ready).unwrap(),
        failed: vec![],
    }
}

fn snapshot() -> Snapshot {
    let ready = json!([{"track": "ruby", "version": format!("{A}@sha256:{}", "c".repeat(64))}]);
    let draining = WorkerView { draining: true, ..worker("w3", json!(["ruby"]), json!([])) };
    Snapshot {
        epoch: Epoch(7),
        recovering: false,
        draining: false,
        workers: vec![
            worker("w1", json!(["ruby"]), ready.clone()),
            worker("w2", json!(["*"]), ready),
            draining,
        ],
        queues: vec![],
        totals: Totals::default(),
    }
}

fn no_build(_: JobKey, from: u64) -> BuildProgress {
    BuildProgress { state: BuildState::None, log: LogPage { lines: vec![], next: from } }
}

fn ask_as(role: Role, draining: bool, request: &Value) -> DecidedRequest {
    ask_with(None, role, draining, request)
}

fn ask_with(caller: Option<&str>, role: Role, draining: bool, request: &Value) -> DecidedRequest {
    let config = config();
    let mut context = RequestContext {
        config: &config,
        epoch: Epoch(7),
        workers_port: 5556,
        server_key: None,
        caller,
        draining,
        role: &mut || role,
        snapshot: &snapshot,
        progress: &no_build,
    };
    decide_text(&request.to_string(), &mut context)
}

fn decide_text(text: &str, context: &mut RequestContext<'_>) -> DecidedRequest {
    decide(Shape::read(text.as_bytes()), text.len(), context)
}

fn ask(request: &Value) -> DecidedRequest {
    ask_as(Role::Administrator, false, request)
}

fn job(changes: &Value) -> Value {
    let mut request = json!({"action": "test_solution", "id": "1", "track_slug": "ruby", "exercise_slug": "two-fer",
        "s3_uri": "s3://bucket/1", "container_version": A});
    for (field, value) in changes.as_object().unwrap() {
        request[field] = value.clone();
    }
    request
}

fn reply(decided: DecidedRequest) -> Reply {
    match decided.decision {
        Decision::Reply(reply) | Decision::RestartWorkers(reply) | Decision::RestartRouter(reply) => reply,
        other => panic!("not a reply: {other:?}"),
    }
}

fn response(request: &Value) -> Value {
    let reply = reply(ask(request));
    assert_eq!(reply.reason, Reason::Ok, "{}", reply.message);
    serde_json::from_slice(&reply.response.unwrap()).unwrap()
}

#[rstest]
#[case::no_object(json!([]), Reason::NotJson, "{")]
#[case::no_action(json!({}), Reason::MissingFields, "action")]
#[case::unknown(json!({"action": "dance"}), Reason::UnknownAction, "dance")]
#[case::missing(json!({"action": "test_solution", "id": "1"}), Reason::MissingFields, "s3_uri")]
#[case::slug(job(&json!({"exercise_slug": "../x"})), Reason::BadSlug, "exercise_slug")]
#[case::uri(job(&json!({"s3_uri": "s3://b"})), Reason::BadUri, "s3://")]
#[case::timeout(job(&json!({"execution_timeout": 11})), Reason::BadTimeout, "at most 10s")]
#[case::track(job(&json!({"track_slug": "csharp"})), Reason::UnknownTrack, "no track csharp")]
#[case::version(job(&json!({"container_version": B.replace('b', "d")})), Reason::NotDeployed, A)]
#[case::none_deployed(job(&json!({"track_slug": "nim"})), Reason::NotDeployed, "no version is")]
#[case::unresolved(job(&json!({"container_version": B})), Reason::StoreUnavailable, B)]
#[case::other_channel(job(&json!({"action": "represent"})), Reason::UnknownTrack, "representers")]
#[case::build(json!({"action": "build_container", "channel": "test_runners", "track_slug": "ruby", "git_reference": "main"}), Reason::NoWorker, "source.url")]
#[case::unload(json!({"action": "unload_container_version", "channel": "test_runners", "track_slug": "zig", "version": A}), Reason::UnknownTrack, "zig")]
fn invalid_request_is_refused(#[case] request: Value, #[case] reason: Reason, #[case] names: &str) {
    let refused = reply(ask(&request));
    assert_eq!(refused.reason, reason, "{}", refused.message);
    assert!(refused.message.contains(names), "{}", refused.message);
}

#[test]
fn refusal_echoes_the_id() {
    for request in
        [job(&json!({"track_slug": ".."})), job(&json!({"fresh": 7})), job(&json!({"action": "dance"}))]
    {
        assert_eq!(ask(&request).id.as_deref(), Some("1"));
    }
}

#[test]
fn role_is_checked_between_shape_and_values() {
    let deploy = json!({"action": "deploy_container_version", "channel": "test_runners", "track_slug": "..", "new_version": "x"});
    assert_eq!(reply(ask_as(Role::Submitter, false, &deploy)).reason, Reason::Forbidden);
    assert_eq!(reply(ask_as(Role::Administrator, false, &deploy)).reason, Reason::BadSlug);
    let shapeless = json!({"action": "deploy_container_version"});
    assert_eq!(reply(ask_as(Role::Submitter, false, &shapeless)).reason, Reason::MissingFields);
}

#[test]
fn draining_router_refuses_changes_only() {
    let restart = json!({"action": "restart_workers"});
    assert_eq!(reply(ask_as(Role::Administrator, true, &restart)).reason, Reason::RouterDraining);
    let current = json!({"action": "current_config"});
    assert_eq!(reply(ask_as(Role::Administrator, true, &current)).reason, Reason::Ok);
}

#[test]
fn execution_timeout_becomes_wall_time() {
    let wall = |changes| match ask_as(Role::Submitter, false, &job(&changes)).decision {
        Decision::Job(job) => match job.spec {
            JobSpec::Run { limits, .. } => limits.wall.to_string(),
            JobSpec::Build { limits, .. } => limits.wall.to_string(),
        },
        other => panic!("not a job: {other:?}"),
    };
    assert_eq!(wall(json!({})), "5s");
    assert_eq!(wall(json!({"execution_timeout": 10})), "10s");
}

#[test]
fn io_runs_in_the_background() {
    let base = json!({"channel": "test_runners", "track_slug": "zig"});
    for (action, field, value) in [
        ("deploy_container_version", "new_version", json!(A)),
        ("update_container_versions", "versions", json!([A, B])),
        ("list_available_containers", "x", json!(0)),
    ] {
        let mut request = base.clone();
        request["action"] = json!(action);
        request[field] = value;
        assert!(matches!(ask(&request).decision, Decision::Background(_)), "{action}");
    }
}

#[rstest]
#[case("current_config")]
#[case("describe_workers")]
#[case("current_worker_status")]
#[case("deployment_check")]
#[case("configure_worker")]
#[case("restart_workers")]
#[case("restart_router")]
fn response_of_each_action(#[case] action: &str) {
    let request =
        json!({"action": action, "channel": "test_runners", "track_slug": "ruby", "topics": ["ruby"]});
    insta::with_settings!({snapshot_suffix => action}, { insta::assert_json_snapshot!(response(&request)); });
}

#[test]
fn nothing_is_ready_without_workers() {
    let request = json!({"action": "deployment_check", "channel": "test_runners", "track_slug": "ruby"});
    let config = config();
    let no_workers = || Snapshot { workers: vec![], ..snapshot() };
    let mut context = RequestContext {
        config: &config,
        epoch: Epoch(7),
        workers_port: 1,
        server_key: None,
        caller: None,
        draining: false,
        role: &mut || Role::Submitter,
        snapshot: &no_workers,
        progress: &no_build,
    };
    let answer = reply(decide_text(&request.to_string(), &mut context)).response.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap()["status"][A], false);
}

#[test]
fn role_limits_what_a_key_may_do() {
    let ask = |caller, role, request: &Value| ask_with(caller, role, false, request).decision;
    let forbidden =
        |decision| matches!(decision, Decision::Reply(reply) if reply.reason == Reason::Forbidden);
    let restart = json!({"action": "restart_workers"});
    let current = json!({"action": "current_config"});
    for key in ["", "revoked"] {
        assert!([&job(&json!({})), &current].iter().all(|asked| forbidden(ask(
            Some(key),
            Role::Nobody,
            asked
        ))));
    }
    assert!(matches!(ask(Some("key"), Role::Submitter, &job(&json!({}))), Decision::Job(_)));
    assert!(forbidden(ask(Some("key"), Role::Submitter, &restart)));
    assert!(matches!(ask(Some("key"), Role::Administrator, &restart), Decision::RestartWorkers(_)));
}
