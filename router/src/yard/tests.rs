//! What stored resources come to.

use rstest::rstest;
use serde_json::{Value, json};
use trackyard_protocol::quantity::Bytes;
use trackyard_protocol::reason::Reason;

use super::object::Version;
use super::status::{Outcome, status};
use super::*;
use crate::config;
use crate::dispatch::{Dispatch, Settings};

const TAG: &str = "git-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn digest() -> String {
    format!("sha256:{}", "b".repeat(64))
}

fn read(metadata: &Value, spec: &Value, status: &Value) -> Result<Option<Version>, String> {
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
    Version::read(&serde_json::from_value(object).unwrap())
}

fn known(metadata: &Value, spec: &Value, status: &Value) -> Version {
    read(metadata, spec, status).unwrap().unwrap()
}

fn plain() -> Version {
    known(&json!({}), &json!({"version": TAG}), &json!({}))
}

#[rstest]
#[case::named(json!({}), json!({"version": TAG}), json!({}), Some((TAG, false)))]
#[case::pinned(json!({}), json!({"version": TAG}), json!({"digest": digest()}), Some((TAG, true)))]
#[case::not_built_yet(json!({}), json!({"gitReference": "main"}), json!({}), None)]
#[case::built(json!({}), json!({"gitReference": "main"}), json!({"version": TAG}), Some((TAG, false)))]
#[case::going(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}), json!({"version": TAG}), json!({}), None)]
fn a_version_is_deployed(
    #[case] metadata: Value,
    #[case] spec: Value,
    #[case] status: Value,
    #[case] expected: Option<(&str, bool)>,
) {
    let read = read(&metadata, &spec, &status).unwrap();
    let found = read.as_ref().map(|known| (known.pinned.version.as_str(), known.pinned.digest.is_some()));
    assert_eq!(found, expected);
}

#[rstest]
#[case(json!({"version": "latest"}), json!({}), "version: ")]
#[case(json!({"version": TAG, "track": "../x"}), json!({}), "track: ")]
#[case(json!({"version": TAG}), json!({"digest": "sha256:1"}), "status.digest: ")]
fn what_was_stored_before_a_rule_is_named(#[case] spec: Value, #[case] status: Value, #[case] begin: &str) {
    let error = read(&json!({}), &spec, &status).unwrap_err();
    assert!(error.starts_with(begin), "{error}");
}

#[rstest]
#[case::ours(json!({"labels": {"trackyard.dev/made-by": "router"}}), None)]
#[case::labelled(json!({"labels": {"app.kubernetes.io/managed-by": "Helm"}}), Some("Helm"))]
#[case::written(json!({"managedFields": [{"manager": "argocd"}, {"manager": "x", "subresource": "status"}]}), Some("argocd"))]
#[case::nobody_says(json!({}), Some("somebody else"))]
fn who_manages_it(#[case] metadata: Value, #[case] expected: Option<&str>) {
    assert_eq!(known(&metadata, &json!({"version": TAG}), &json!({})).manager.as_deref(), expected);
}

fn file() -> Config {
    config::read("limits: {test_runners: {ruby: {memory: 1Gi, wall: 5s}}}").unwrap().config
}

#[test]
fn a_version_changes_what_it_names_of_the_limits_and_an_impossible_one_nothing() {
    let limited = |limits| known(&json!({}), &json!({"version": TAG, "limits": limits}), &json!({}));
    let of = |version: Version| {
        let key = (version.place.clone(), version.pinned.version.clone());
        let yard = Yard { versions: Some(vec![version]), pools: Vec::new() };
        yard.over(&file()).cluster.limits.remove(&key)
    };
    let limits = of(limited(json!({"memory": "2Gi"}))).unwrap();
    assert_eq!((limits.memory, limits.wall.to_string()), (Bytes(2 << 30), "5s".to_owned()));
    assert_eq!(of(limited(json!({"memory": "0"}))), None);
    assert_eq!(of(plain()), None);
}

#[test]
fn two_objects_of_one_version_deploy_it_once_and_the_files_versions_do_not_count() {
    let file =
        config::read(&format!("container_versions: {{test_runners: {{python: [{TAG}]}}}}")).unwrap().config;
    let again = Version { name: "y".to_owned(), ..plain() };
    let config = Yard { versions: Some(vec![plain(), again]), pools: Vec::new() }.over(&file);
    let all: Vec<_> =
        config.container_versions.iter().map(|(place, all)| (place.track.to_string(), all.len())).collect();
    assert_eq!(all, [("ruby".to_owned(), 1)]);
    assert!(!config.cluster.is_unknown);
    assert!(Yard::default().over(&file).cluster.is_unknown);
}

#[test]
fn a_status_is_written_once() {
    let digest = digest().parse().unwrap();
    let outcome = Outcome::Deployed { digest: &digest, image: "registry/ruby-test-runner" };
    let written = status(&plain(), &outcome).unwrap();
    assert_eq!(written["status"]["image"], format!("registry/ruby-test-runner@{digest}"));
    assert_eq!(written["status"]["version"], TAG);
    let stored = written["status"].clone();
    let known = known(&json!({}), &json!({"version": TAG}), &stored);
    assert!(status(&known, &outcome).is_none(), "nothing has changed");
    assert!(status(&known, &Outcome::Unresolved { message: "gone" }).is_some());
}

#[test]
fn the_operator_says_what_it_has_built() {
    let digest = digest().parse().unwrap();
    let built = known(&json!({}), &json!({"gitReference": "main"}), &json!({"version": TAG}));
    let written = status(&built, &Outcome::Deployed { digest: &digest, image: "x" }).unwrap();
    assert!(written["status"].get("version").is_none());
}

#[rstest]
#[case::fixed(json!({"replicas": 2}), Some(180))]
#[case::scales(json!({"replicas": 0, "autoscale": {"max": 3, "coldStart": "40s"}}), Some(40))]
#[case::none(json!({"replicas": 0}), None)]
#[case::suspended(json!({"replicas": 2, "suspend": true}), None)]
#[case::unreadable_topics(json!({"topics": ["../x"]}), None)]
fn which_pools_may_have_workers(#[case] spec: Value, #[case] seconds: Option<u64>) {
    let mut whole = json!({
        "apiVersion": "trackyard.dev/v1alpha1", "kind": "WorkerPool", "metadata": {"name": "x"},
        "spec": {"channel": "test_runners", "topics": ["ruby"]},
    });
    for (name, value) in spec.as_object().unwrap() {
        whole["spec"][name] = value.clone();
    }
    let cover = pools::cover(&serde_json::from_value(whole).unwrap());
    assert_eq!(cover.map(|cover| cover.cold_start.as_secs()), seconds);
}

#[test]
fn while_nothing_is_known_no_job_is_told_that_its_version_is_not_deployed() {
    use crate::actions::{Decision, World, decide};
    use crate::caller::Role;
    use trackyard_protocol::request::Shape;
    use trackyard_protocol::token::Epoch;

    let config = Yard::default().over(&file());
    let settings = Settings::new(config.images.clone(), config.inputs.clone());
    let dispatch = Dispatch::new(Epoch(1), settings, std::time::Duration::ZERO);
    let mut role = || Role::Administrator;
    let mut world = World {
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
        let decided = decide(Shape::read(body.as_bytes()), body.len(), &mut world);
        let Decision::Reply(reply) = decided.decision else { panic!("{request}") };
        assert_eq!(reply.reason, Reason::StoreUnavailable, "{request}");
    }
}
