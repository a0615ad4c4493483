//! Runs the binary.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::router::{Router, answered};

pub(crate) const VERSION: &str = "git-0123456789abcdef0123456789abcdef01234567";

pub(crate) fn trackyard(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trackyard"))
        .args(args)
        .env_remove("TRACKYARD_ROUTER")
        .env_remove("TRACKYARD_IMAGES")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .output()
        .expect("the binary was just built")
}

/// Formats standard output, standard error and the exit code for a snapshot, with texts replaced.
pub(crate) fn shown(output: &Output, replace: &[(&str, &str)]) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let text = format!("{out}--- stderr\n{err}--- exit code {}", output.status.code().unwrap());
    replace.iter().fold(text, |text, (from, to)| text.replace(from, to))
}

/// Starts a router that has one deployed version and answers each job with `job`.
pub(crate) fn router(job: Value) -> Router {
    Router::start(move |request| match request["action"].as_str() {
        Some("current_config") => {
            answered(&json!({"container_versions": {"test_runners": {"ruby": ["git-older", VERSION]}}}))
        }
        Some("deploy_container_version") => {
            answered(&json!({"container_versions": {"test_runners": {"ruby": [request["new_version"]]}}}))
        }
        _ => job.clone(),
    })
}

pub(crate) fn submit(router: &Router, more: &[&str]) -> Output {
    let mut args = vec!["submit", "s3://submissions/1", "--track", "ruby", "--exercise", "leap"];
    args.extend(["--router", router.address(), "--id", "job-1"]);
    args.extend(more);
    trackyard(&args)
}
