//! Runs `trackyard build`, `deploy` and `unload` as a user would.
#![cfg(test)]

use std::process::{Command, Output};

use e2e::binaries::binary;
use e2e::router::Router;
use e2e::stage::Stage;
use e2e::tooling::{SHELL, ToolingRepository, builder, config};
use e2e::worker::WorkerOptions;

const TRACK: &str = "shell";

fn trackyard(router: &Router, args: &[&str]) -> Output {
    let router = router.clients();
    Command::new(binary("trackyard"))
        .args(args)
        .args(["--track", TRACK, "--router", &router])
        .output()
        .unwrap()
}

/// Runs a command that must succeed. Returns its standard output and standard error.
fn run_ok(router: &Router, args: &[&str]) -> (String, String) {
    let output = trackyard(router, args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let out = text(output.stdout);
    let log = text(output.stderr);
    assert!(output.status.success(), "{args:?}: {log}");
    (out, log)
}

#[test]
fn branch_is_built_deployed_and_unloaded() {
    let stage = Stage::new();
    let tooling = ToolingRepository::new(&stage, TRACK);
    let sha = tooling.git(&["rev-parse", "HEAD"]);
    let version = format!("git-{sha}");
    let router = Router::start(&config(&stage));
    let _builder = builder("builder-1", "buildkit").start(&router);
    let _runner = WorkerOptions::new("runner-1").start(&router);

    let image = format!("{}/{TRACK}-test-runner:{version}", stage.images().dir().display());
    let (out, log) = run_ok(&router, &["build", "main", "--follow"]);
    assert_eq!(out, format!("{version}\n"));
    let found = format!("fetch: main is commit {sha}");
    let released = format!("built and released {image}");
    for line in [&found, "build: with buildkit", "release: tagged latest", &released] {
        assert!(log.contains(line), "{line} is not in {log}");
    }
    let (out, log) = run_ok(&router, &["build", "main"]);
    assert_eq!(out, format!("{version}\n"));
    assert!(log.contains("released already"), "{log}");

    let versions = |flags: &[&str]| run_ok(&router, &[&["versions"], flags].concat()).0;
    assert!(versions(&["--available"]).contains(&version));
    assert!(!versions(&[]).contains(&version));
    let (out, log) = run_ok(&router, &["deploy", &version, "--wait"]);
    assert!(format!("{out}{log}").contains(&format!("{version} is ready")), "{out}{log}");
    assert!(versions(&[]).contains(&version));
    run_ok(&router, &["unload", &version]);
    assert!(!versions(&[]).contains(&version));
}

#[test]
fn failed_build_shows_its_cause() {
    let stage = Stage::new();
    let tooling = ToolingRepository::new(&stage, TRACK);
    tooling.write("Dockerfile", &format!("{SHELL}RUN echo no luck today && false\n"));
    let sha = tooling.commit_all();
    let router = Router::start(&config(&stage));
    let _builder = builder("builder-1", "buildkit").start(&router);
    let output = trackyard(&router, &["build", &sha]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("build_failed") && error.contains("no luck today"), "{error}");
}
