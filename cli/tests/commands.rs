//! The binary, against a router in the test.

#[cfg(test)]
mod binary;
#[cfg(test)]
mod router;

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use binary::{VERSION, router, shown, submit, trackyard};
use router::{Router, answered, refused};
use rstest::rstest;
use serde_json::{Value, json};

#[rstest]
#[case("help", &["--help"])]
#[case("submit", &["submit", "--help"])]
#[case("versions", &["versions", "--help"])]
#[case("local", &["local", "--help"])]
#[case("local_up", &["local", "up", "--help"])]
#[case("local_demo", &["local", "demo", "--help"])]
#[case("no_command", &["submti"])]
#[case("bad_slug", &["deploy", VERSION, "--track", "../ruby"])]
#[case("bad_channel", &["submit", ".", "--track", "ruby", "--exercise", "leap", "--channel", "builders"])]
#[case("no_dir", &["submit", "/no/such/directory", "--track", "ruby", "--exercise", "leap"])]
#[case("no_track", &["versions", "--available"])]
fn command_line_output(#[case] name: &str, #[case] args: &[&str]) {
    insta::assert_snapshot!(name, shown(&trackyard(args), &[]));
}

#[rstest]
#[case("passed", json!({"status": "pass", "tests": [{"name": "a year", "status": "pass"}]}))]
#[case("failed", json!({"status": "fail", "tests": [{"name": "a year", "status": "fail", "message": "was 3"}]}))]
fn a_result_is_shown_with_its_tests(#[case] name: &str, #[case] results: Value) {
    insta::assert_snapshot!(name, shown(&submit(&router(answered(&results)), &[]), &[]));
}

#[test]
fn a_failed_job_is_shown_with_a_hint() {
    let router = router(refused(503, "no_worker", "no worker serves ruby of test_runners"));
    insta::assert_snapshot!(shown(&submit(&router, &[]), &[]));
}

#[test]
fn options_reach_the_job() {
    let router = router(answered(&json!({"status": "pass"})));
    submit(&router, &["--timeout", "5", "--deadline", "1m", "--fresh"]);
    let job = router.requests().into_iter().find(|request| request["action"] == "test_solution").unwrap();
    insta::assert_json_snapshot!(job);
}

#[test]
fn a_local_dir_is_sent_as_its_canonical_path() {
    let router = router(answered(&json!({"status": "pass"})));
    let dir = tempfile::tempdir().unwrap();
    let given = format!("{}/.", dir.path().display());
    let args = ["submit", &given, "--track", "ruby", "--exercise", "leap", "--router", router.address()];
    assert_eq!(trackyard(&args).status.code(), Some(0));
    let uri = router.requests().last().unwrap()["s3_uri"].as_str().unwrap().to_owned();
    assert_eq!(uri, format!("file://{}", dir.path().canonicalize().unwrap().display()));
}

#[test]
fn json_output_is_the_whole_answer() {
    let output = submit(&router(answered(&json!({"status": "fail", "more": [1]}))), &["--output", "json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["response"], json!({"status": "fail", "more": [1]}));
    assert_eq!((answer["status"]["status_code"].as_u64(), output.status.code()), (Some(200), Some(1)));
}

#[test]
fn a_track_without_a_version_is_refused() {
    let router = Router::start(|_| answered(&json!({"container_versions": {}})));
    insta::assert_snapshot!(shown(&submit(&router, &[]), &[]));
}

#[test]
fn a_missing_router_has_its_own_exit_code() {
    let address = router::closed_address();
    let output = trackyard(&["status", "--router", &address]);
    insta::assert_snapshot!(shown(&output, &[(&address, "ADDRESS")]));
}

#[test]
fn a_deployed_version_is_shown() {
    let router = router(Value::Null);
    let output = trackyard(&["deploy", VERSION, "--track", "ruby", "--router", router.address()]);
    insta::assert_snapshot!(shown(&output, &[]));
}

#[test]
fn a_refused_unload_is_a_failure() {
    let router = Router::start(|_| refused(503, "store_unavailable", "the image directory cannot be read"));
    let output = trackyard(&["unload", VERSION, "--track", "ruby", "--router", router.address()]);
    insta::assert_snapshot!(shown(&output, &[]));
}

#[test]
fn a_build_with_a_lost_answer_is_requested_again() {
    let built = json!({
        "status": "ignored", "message": "released already", "track": "ruby", "image": "images/ruby",
        "image_tag": VERSION, "git_tag": "main", "digest": "sha256:0", "logs": "",
    });
    let builds = AtomicUsize::new(0);
    let polls = AtomicUsize::new(0);
    let router = Router::start(move |request| match request["action"].as_str() {
        // Without a second request the command would poll forever.
        Some("build_log") if polls.fetch_add(1, Ordering::SeqCst) > 50 => {
            refused(503, "overloaded", "too often")
        }
        Some("build_log") => answered(&json!({"state": "none", "lines": [], "next": 0})),
        _ if builds.fetch_add(1, Ordering::SeqCst) == 0 => Value::Null,
        _ => answered(&built),
    });
    let output = trackyard(&["build", "main", "--track", "ruby", "--router", router.address()]);
    insta::assert_snapshot!(shown(&output, &[(router.address(), "ADDRESS")]));
}

#[test]
fn a_closed_pipe_is_not_a_failure() {
    let router = router(Value::Null);
    let mut child = Command::new(env!("CARGO_BIN_EXE_trackyard"))
        .args(["versions", "--router", router.address()])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
