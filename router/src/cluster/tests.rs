//! Stored resources, and the configuration that they result in.

use rstest::rstest;
use serde_json::{Value, json};
use trackyard_protocol::quantity::Bytes;
use trackyard_protocol::reason::Reason;

use super::object::VersionObject;
use super::status::{Lookup, status};
use super::*;
use crate::config;
use crate::dispatch::{Dispatch, Settings};

const TAG: &str = "git-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn digest() -> String {
    format!("sha256:{}", "b".repeat(64))
}

fn read(metadata: &Value, spec: &Value, status: &Value) -> Result<Option<VersionObject>, String> {
    let mut object = json!({
        "apiVersion": "trackyard.dev/v1alpha1", "kind": "ContainerVersion",
        "metadata": {"name": "x", "uid": "1", "generation": 3},
        "spec": {"channel": "test_runners", "track": "ruby"}, "status": status,
    });
    for (part, more) in [("metadata", metadata), ("spec", spec)] {
        for (name, value) in more.as_object().unwrap() {
            object[part][name] = value.clone();
        }
    }
    VersionObject::read(&serde_json::from_value(object).unwrap())
}

fn object(metadata: &Value, spec: &Value, status: &Value) -> VersionObject {
    read(metadata, spec, status).unwrap().unwrap()
}

fn plain() -> VersionObject {
    object(&json!({}), &json!({"version": TAG}), &json!({}))
}

#[rstest]
#[case::named(json!({}), json!({"version": TAG}), json!({}), Some((TAG, false)))]
#[case::pinned(json!({}), json!({"version": TAG}), json!({"digest": digest()}), Some((TAG, true)))]
#[case::not_built_yet(json!({}), json!({"gitReference": "main"}), json!({}), None)]
#[case::built(json!({}), json!({"gitReference": "main"}), json!({"version": TAG}), Some((TAG, false)))]
#[case::going(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}), json!({"version": TAG}), json!({}), None)]
fn stored_version_is_read(
    #[case] metadata: Value,
    #[case] spec: Value,
    #[case] status: Value,
    #[case] expected: Option<(&str, bool)>,
) {
    let read = read(&metadata, &spec, &status).unwrap();
    let found = read.as_ref().map(|object| (object.pinned.version.as_str(), object.pinned.digest.is_some()));
    assert_eq!(found, expected);
}

#[rstest]
#[case(json!({"version": "latest"}), json!({}), "version: ")]
#[case(json!({"version": TAG, "track": "../x"}), json!({}), "track: ")]
#[case(json!({"version": TAG}), json!({"digest": "sha256:1"}), "status.digest: ")]
fn invalid_stored_field_is_named(#[case] spec: Value, #[case] status: Value, #[case] begin: &str) {
    let error = read(&json!({}), &spec, &status).unwrap_err();
    assert!(error.starts_with(begin), "{error}");
}

#[rstest]
#[case::ours(json!({"labels": {"trackyard.dev/made-by": "router"}}), None)]
#[case::labelled(json!({"labels": {"app.kubernetes.io/managed-by": "Helm"}}), Some("Helm"))]
#[case::written(json!({"managedFields": [{"manager": "argocd"}, {"manager": "x", "subresource": "status"}]}), Some("argocd"))]
#[case::unknown(json!({}), Some("somebody else"))]
fn manager_is_found(#[case] metadata: Value, #[case] expected: Option<&str>) {
    assert_eq!(object(&metadata, &json!({"version": TAG}), &json!({})).manager.as_deref(), expected);
}

fn file() -> Config {
    config::read("limits: {test_runners: {ruby: {memory: 1Gi, wall: 5s}}}").unwrap().config
}

#[test]
fn version_overrides_limits_unless_impossible() {
    let limited = |limits| object(&json!({}), &json!({"version": TAG, "limits": limits}), &json!({}));
    let of = |version: VersionObject| {
        let key = (version.tooling.clone(), version.pinned.version.clone());
        let state = ClusterState { versions: Some(vec![version]), pools: Vec::new() };
        state.apply_to(&file()).cluster.limits.remove(&key)
    };
    let limits = of(limited(json!({"memory": "2Gi"}))).unwrap();
    assert_eq!((limits.memory, limits.wall.to_string()), (Bytes(2 << 30), "5s".to_owned()));
    assert_eq!(of(limited(json!({"memory": "0"}))), None);
    assert_eq!(of(plain()), None);
}

#[test]
fn duplicate_object_deploys_once_and_file_is_ignored() {
    let file =
        config::read(&format!("container_versions: {{test_runners: {{python: [{TAG}]}}}}")).unwrap().config;
    let again = VersionObject { name: "y".to_owned(), ..plain() };
    let config = ClusterState { versions: Some(vec![plain(), again]), pools: Vec::new() }.apply_to(&file);
    let all: Vec<_> = config
        .container_versions
        .iter()
        .map(|(tooling, all)| (tooling.track.to_string(), all.len()))
        .collect();
    assert_eq!(all, [("ruby".to_owned(), 1)]);
    assert!(!config.cluster.is_loading);
    assert!(ClusterState::default().apply_to(&file).cluster.is_loading);
}

#[test]
fn stored_status_is_not_written_again() {
    let digest = digest().parse().unwrap();
    let lookup = Lookup::Resolved { digest: &digest, image: "registry/ruby-test-runner" };
    let written = status(&plain(), &lookup).unwrap();
    assert_eq!(written["status"]["image"], format!("registry/ruby-test-runner@{digest}"));
    assert_eq!(written["status"]["version"], TAG);
    let stored = written["status"].clone();
    let object = object(&json!({}), &json!({"version": TAG}), &stored);
    assert!(status(&object, &lookup).is_none(), "the status is stored already");
    assert!(status(&object, &Lookup::Failed { message: "not there" }).is_some());
}

#[test]
fn built_version_is_left_to_the_operator() {
    let digest = digest().parse().unwrap();
    let built = object(&json!({}), &json!({"gitReference": "main"}), &json!({"version": TAG}));
    let written = status(&built, &Lookup::Resolved { digest: &digest, image: "x" }).unwrap();
    assert!(written["status"].get("version").is_none());
}

#[rstest]
#[case::fixed(json!({"replicas": 2}), Some(180))]
#[case::scales(json!({"replicas": 0, "autoscale": {"max": 3, "coldStart": "40s"}}), Some(40))]
#[case::none(json!({"replicas": 0}), None)]
#[case::suspended(json!({"replicas": 2, "suspend": true}), None)]
#[case::unreadable_topics(json!({"topics": ["../x"]}), None)]
fn pool_covers_its_topics_if_it_may_have_pods(#[case] spec: Value, #[case] seconds: Option<u64>) {
    let mut whole = json!({
        "apiVersion": "trackyard.dev/v1alpha1", "kind": "WorkerPool", "metadata": {"name": "x"},
        "spec": {"channel": "test_runners", "topics": ["ruby"]},
    });
    for (name, value) in spec.as_object().unwrap() {
        whole["spec"][name] = value.clone();
    }
    let cover = pool_cover(&serde_json::from_value(whole).unwrap());
    assert_eq!(cover.map(|cover| cover.cold_start.as_secs()), seconds);
}

#[test]
fn loading_cluster_answers_store_unavailable() {
    use crate::actions::{Decision, RequestContext, decide};
    use crate::caller::Role;
    use trackyard_protocol::request::Shape;
    use trackyard_protocol::token::Epoch;

    let config = ClusterState::default().apply_to(&file());
    let settings = Settings::new(config.images.clone(), config.inputs.clone());
    let dispatch = Dispatch::new(Epoch(1), settings, Duration::ZERO);
    let mut role = || Role::Administrator;
    let mut context = RequestContext {
        config: &config,
        epoch: Epoch(1),
        workers_port: 1,
        server_key: None,
        caller: None,
        draining: false,
        role: &mut role,
        snapshot: &|| dispatch.snapshot(),
        progress: &|_, _| unreachable!("no build is asked for"),
    };
    let job = json!({
        "action": "test_solution", "id": "1", "track_slug": "ruby", "exercise_slug": "x", "s3_uri": "s3://submissions/1",
        "container_version": TAG,
    });
    let deploy = json!({
        "action": "deploy_container_version", "channel": "test_runners", "track_slug": "ruby", "new_version": TAG,
    });
    for request in [job, deploy] {
        let body = request.to_string();
        let decided = decide(Shape::read(body.as_bytes()), body.len(), &mut context);
        let Decision::Reply(reply) = decided.decision else { panic!("{request}") };
        assert_eq!(reply.reason, Reason::StoreUnavailable, "{request}");
    }
}
