//! Hostile submissions and images on the whole path from router to container, which attack logs, answers or the setup.
//! Attacks within the container are in the worker's `sandbox_jobs`.
#![cfg(test)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use e2e::binaries::system;
use e2e::image::Image;
use e2e::leftovers::find_process;
use e2e::request::{expect, test_solution, version, with};
use e2e::rig::{Rig, small_limits};
use e2e::router::Router;
use e2e::stage::Stage;
use e2e::wait::seconds;
use e2e::worker::WorkerOptions;
use serde_json::json;

const PASS: &str = "echo '{}' > /mnt/exercism-iteration/results.json";
const FORGED: &str = "ERROR the worker is broken";

/// Returns true if a log has an injected terminal escape or an injected line.
fn is_forged(log: &str) -> bool {
    log.contains("\u{1b}[2J") || log.contains('\u{7}') || log.lines().any(|line| line.starts_with(FORGED))
}

#[test]
fn output_and_fields_cannot_forge_log_lines() {
    let mut rig = Rig::start(small_limits());
    let script = format!(r"printf '\033[2J\007\n{FORGED}\n' | tee /dev/stderr; exit 3");
    let answer = rig.run(&script);
    expect(&answer, 513, "exit_code");
    assert!(!answer.status.message.contains(['\n', '\u{1b}']), "{:?}", answer.status);
    let name = format!("{}\u{1b}[2J\n{FORGED}", "x".repeat(20));
    for field in ["id", "exercise_slug", "track_slug", "container_version", "s3_uri"] {
        let answer = rig.router.ask(&with(rig.request(PASS), field, json!(name)));
        assert!(matches!(answer.status.status_code, 400 | 502), "{field}: {:?}", answer.status);
        assert!(!answer.status.message.contains(['\n', '\u{1b}']), "{field}: {:?}", answer.status);
    }
    let files = [("do.sh", PASS), ("a\u{1b}[2J\nERROR the worker is broken", "")];
    let odd = rig.router.ask(&rig.request_with(&files));
    assert!(!odd.status.message.contains(['\n', '\u{1b}']), "{:?}", odd.status);
    expect(&rig.run(PASS), 200, "ok");
    let log = rig.worker.process().log();
    assert!(!is_forged(&log), "{log}");
}

#[test]
fn image_cannot_set_dir_user_command_or_mounts() {
    let stage = Stage::new();
    let script = format!("pwd; id -u; {PASS}");
    let image = Image::tooling("test_runners", &script)
        .setting("WorkingDir", json!("/proc/self/fd/7/../../.."))
        .setting("User", json!("4294967295:4294967295"))
        .setting("Entrypoint", json!(["/bin/sh", "-c", "echo owned"]))
        .setting("Cmd", json!(["owned"]))
        .setting("Volumes", json!({"/etc": {}, "/mnt/exercism-iteration": {}}));
    stage.images().add("ruby-test-runner", &version('a'), &image);
    let router = Router::start(&stage.config().deployed("test_runners", "ruby", &[&version('a')]));
    let _worker = WorkerOptions::new("any-1").start(&router);
    let uri = stage.submission("1", &[("a.rb", "")]);
    let answer = router.ask(&test_solution("1", "ruby", &uri, &version('a')));
    expect(&answer, 200, "ok");
    assert_eq!(answer.context["invocation"]["stdout"], "/opt/test-runner\n0\n");
}

/// Some versions of runc hang after a very short process.
#[test]
fn hanging_runc_is_512_and_next_job_runs() {
    let dir = tempfile::tempdir().unwrap();
    let runc = dir.path().join("runc");
    let hangs = dir.path().join("hangs");
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' run '*) [ ! -e {0} ] || {{ rm {0}; exec sleep 1000.5; }} ;; esac\nexec {1} \"$@\"\n",
        hangs.display(),
        system("runc", "runc").display()
    );
    fs::write(&runc, script).unwrap();
    fs::set_permissions(&runc, fs::Permissions::from_mode(0o755)).unwrap();
    let worker = WorkerOptions::new("any-1").flags(&["--runc", &runc.display().to_string()]);
    let rig = Rig::with_worker(small_limits(), worker);
    expect(&rig.run(PASS), 200, "ok");
    fs::write(&hangs, "").unwrap();
    let request = with(rig.request(PASS), "deadline_ms", json!(60_000));
    let answer = rig.router.client().request(&request, seconds(60)).unwrap();
    expect(&answer, 512, "launch");
    assert!(find_process("sleep 1000.5 ").is_none(), "runc is left");
    expect(&rig.run(PASS), 200, "ok");
}
