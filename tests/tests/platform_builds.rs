//! Builds from git references in a real cluster: fetched over HTTPS, built by a builder's privileged pod, released to a
//! registry with TLS.
#![cfg(test)]

use e2e::git_host::HttpsHost;
use e2e::platform::{Platform, PoolSpec, WORKER_NAMESPACE};
use e2e::request::{expect, test_solution};
use e2e::tooling::ToolingRepository;
use tempfile::TempDir;

const TRACK: &str = "nim";

fn field(platform: &Platform, object: &str, path: &str) -> String {
    let path = format!("-o=jsonpath={{{path}}}");
    platform.kubectl(&["get", object, &path]).unwrap_or_default()
}

fn message(platform: &Platform, object: &str) -> String {
    field(platform, object, r#".status.conditions[?(@.type=="Built")].message"#)
}

#[test]
fn git_reference_becomes_a_running_version() {
    let platform = Platform::start();
    let dir = TempDir::new().unwrap();
    let tooling = ToolingRepository::in_dir(dir.path(), TRACK);
    let good = tooling.git(&["rev-parse", "HEAD"]);
    tooling.git(&["branch", "stable"]);
    tooling.write("Dockerfile", "FROM scratch\nCOPY no-such-file /\n");
    let _ = tooling.commit_all();
    let certificates = platform.registry.authority();
    let _host = HttpsHost::start_in(&platform.cluster, tooling.dir(), certificates.parent().unwrap());

    // Without a builder the build is postponed, and requested again.
    let stable = platform.build(TRACK, "stable");
    platform.wait_for(r#"jsonpath={.status.conditions[?(@.type=="Built")].reason}=Postponed"#, &stable);
    assert!(message(&platform, &stable).contains("503 no_worker"), "{}", message(&platform, &stable));
    platform.apply_builders("builders");
    platform.apply_pool(&PoolSpec::new("any", "'*'", "replicas: 1"));
    platform.wait_for("Ready", "workerpool/builders");
    platform.wait_for("Built", &stable);
    assert_eq!(field(&platform, &stable, ".status.version"), format!("git-{good}"));
    platform.wait_for("Deployed", &stable);
    platform.wait_for("Ready", "workerpool/any");
    platform.wait_for("Ready", &stable);
    let submission = platform.submission("nim-1", &[("a.nim", b"")]);
    expect(&platform.ask(&test_solution("built", TRACK, &submission, &format!("git-{good}"))), 200, "ok");

    // A failed build shows its cause, and is not repeated until that is requested.
    let main = platform.build(TRACK, "main");
    platform.wait_for(r#"jsonpath={.status.conditions[?(@.type=="Built")].reason}=BuildFailed"#, &main);
    let text = message(&platform, &main);
    assert!(text.contains("513 build_failed") && text.contains("no-such-file"), "{text}");
    let events = platform.kubectl(&["get", "events", "-o=custom-columns=R:.reason"]).unwrap_or_default();
    assert!(events.contains("BuildFailed") && events.contains("Built"), "{events}");
    let generation = field(&platform, &main, ".metadata.resourceVersion");
    let again = ["annotate", &main, "trackyard.dev/rebuild=1", "--namespace", WORKER_NAMESPACE];
    let _ = platform.cluster.kubectl(&again);
    platform.wait_for("jsonpath={.status.rebuild}=1", &main);
    assert_ne!(field(&platform, &main, ".metadata.resourceVersion"), generation);
    assert!(message(&platform, &main).contains("513 build_failed"));
    // The version built before still runs.
    expect(&platform.ask(&test_solution("still", TRACK, &submission, &format!("git-{good}"))), 200, "ok");
}
