//! Every verdict that a container can cause, each with a real container.
#![cfg(test)]

use std::time::Duration;

use e2e::binaries::system;
use e2e::request::{expect, with};
use e2e::rig::Rig;
use e2e::wait::{seconds, wait_for};
use rstest::rstest;
use serde_json::json;

const PASS: &str = r#"echo '{"version":2,"status":"pass"}' > /mnt/exercism-iteration/results.json"#;

#[test]
fn job_runs_end_to_end_over_file() {
    let rig = Rig::shared();
    let answer = rig.router.ask(&rig.request_with(&[
        ("do.sh", "echo said; echo cried >&2; cp lib/answer.json results.json"),
        ("lib/answer.json", r#"{"version": 2, "tests": [{"name": "one", "status": "pass"}]}"#),
    ]));
    // The submission's script runs in the tooling's directory, not in the submission's.
    expect(&answer, 513, "exit_code");
    let answer = rig.router.ask(&rig.request_with(&[
        ("do.sh", "echo said; echo cried >&2; cd /mnt/exercism-iteration; cp lib/answer.json results.json"),
        ("lib/answer.json", r#"{"version": 2, "tests": [{"name": "one", "status": "pass"}]}"#),
    ]));
    expect(&answer, 200, "ok");
    assert_eq!(answer.response["tests"][0]["status"], "pass");
    let context = &answer.context;
    assert_eq!(context["exercise_slug"], "two-fer");
    assert_eq!(context["invocation"]["stdout"], "said\n");
    assert_eq!(context["invocation"]["stderr"], "cried\n");
    assert_eq!(context["exit_status"], 0);
    assert_eq!((context["worker"].as_str(), context["attempt"].as_u64()), (Some("any-1"), Some(1)));
    assert!(context["image"].to_string().contains("sha256:"), "{context:#}");
    for field in
        ["queue_ms", "setup_ms", "launch_ms", "wall_ms", "cpu_user_ms", "memory_peak_bytes", "pids_peak"]
    {
        assert!(context["usage"][field].is_u64(), "{field} in {context:#}");
    }
    assert_eq!(context["limits"]["memory"], "64Mi");
    let text = context.to_string();
    for host_path in [rig.stage.dir().display().to_string(), rig.worker.dir().display().to_string()] {
        assert!(!text.contains(&host_path), "the answer contains a path of the host: {text}");
    }
}

#[rstest]
#[case::stdout("yes", 402, "stdout_limit")]
#[case::stderr("yes >&2", 402, "stderr_limit")]
#[case::both_streams_byte_by_byte("while :; do printf a; printf b >&2; done", 402, "")]
#[case::one_file("dd if=/dev/zero of=/tmp/big bs=64k count=64 2>/dev/null; exit $?", 402, "file_size")]
#[case::result(
    "dd if=/dev/zero of=/mnt/exercism-iteration/results.json bs=1k count=17 2>/dev/null",
    402,
    "result_size"
)]
#[case::memory("x=a; while :; do x=$x$x; done", 403, "oom_killed")]
#[case::memory_of_a_child("sh -c 'x=a; while :; do x=$x$x; done'; exit 0", 403, "oom_killed")]
#[case::syscall("exec reboot -f", 403, "syscall_blocked")]
#[case::exit("exit 3", 513, "exit_code")]
#[case::prewritten_result_and_failure(
    "echo '{}' > /mnt/exercism-iteration/results.json; exit 1",
    513,
    "exit_code"
)]
#[case::missing_command("exec /no/such/program", 513, "exit_code")]
#[case::own_signal("exec crash", 513, "signal")]
#[case::no_result("exit 0", 514, "missing")]
#[case::symlink("ln -s /etc/passwd /mnt/exercism-iteration/results.json", 514, "not_regular")]
#[case::magic_link("ln -s /proc/self/fd/0 /mnt/exercism-iteration/results.json", 514, "not_regular")]
#[case::fifo("mkfifo /mnt/exercism-iteration/results.json", 514, "not_regular")]
#[case::dir("mkdir /mnt/exercism-iteration/results.json", 514, "not_regular")]
#[case::not_utf8(r"printf '\377' > /mnt/exercism-iteration/results.json", 514, "bad_encoding")]
#[case::empty(": > /mnt/exercism-iteration/results.json", 514, "malformed")]
#[case::not_json("echo '{' > /mnt/exercism-iteration/results.json", 514, "malformed")]
#[case::two_values("echo '{} {}' > /mnt/exercism-iteration/results.json", 514, "malformed")]
#[case::deep("yes [ | head -200 | tr -d '\\n' > /mnt/exercism-iteration/results.json", 514, "too_deep")]
fn container_ends_with_verdict(#[case] script: &str, #[case] code: u16, #[case] reason: &str) {
    let rig = Rig::shared();
    let answer = rig.run(script);
    let reason =
        if reason.is_empty() { answer.status.reason.clone().unwrap_or_default() } else { reason.to_owned() };
    expect(&answer, code, &reason);
    // The next job must run after each verdict.
    expect(&rig.run(PASS), 200, "ok");
}

#[test]
fn wall_time_is_401_and_names_limit() {
    let rig = Rig::shared();
    let answer = rig.run_for(1, "exec sleep 60");
    expect(&answer, 401, "wall_time");
    let limit = format!("limit {} s", seconds(1).as_secs());
    assert!(answer.status.message.contains(&limit), "{}", answer.status.message);
    let used = Duration::from_millis(answer.context["usage"]["wall_ms"].as_u64().unwrap());
    assert!((seconds(1)..seconds(1).mul_f64(1.5)).contains(&used), "{used:?}");
}

#[test]
fn closing_stdout_does_not_end_a_job() {
    let rig = Rig::shared();
    expect(&rig.run_for(1, "exec >&- 2>&-; exec sleep 60"), 401, "wall_time");
}

#[test]
fn busy_loop_is_401() {
    // The CPU limit is what the processors can give within the wall time, so either limit may be reached first. The
    // sandbox's own tests check lower CPU limits.
    let rig = Rig::shared();
    let answer = rig.run_for(2, "while :; do :; done & while :; do :; done & while :; do :; done");
    assert_eq!(answer.status.status_code, 401, "{:?}", answer.status);
    let usage = &answer.context["usage"];
    let used = usage["cpu_user_ms"].as_u64().unwrap() + usage["cpu_sys_ms"].as_u64().unwrap();
    let used = Duration::from_millis(used);
    assert!(used <= seconds(2).mul_f64(1.15), "one processor for {:?} gave {used:?}", seconds(2));
}

#[test]
fn external_kill_is_403() {
    let rig = Rig::shared();
    let client = rig.router.client();
    client.send(&rig.request("exec sleep 7.25")).unwrap();
    let pid = wait_for(seconds(10), "the container runs", || e2e::leftovers::find_process("sleep 7.25 "));
    std::process::Command::new(system("busybox", "busybox-static"))
        .args(["kill", "-9", &pid.to_string()])
        .status()
        .unwrap();
    expect(&client.receive(seconds(20)).unwrap(), 403, "killed");
    // The worker runs its canary to check that the fault is not its own, and keeps serving.
    expect(&rig.run(PASS), 200, "ok");
}

#[rstest]
// The fork bomb discards its error output, which has a limit of its own.
#[case::fork_bomb("exec 2>/dev/null; f() { f | f & }; f; sleep 60")]
#[case::orphans("for i in 1 2 3 4 5; do setsid sleep 60 & done; exec sleep 60")]
fn fork_bomb_is_ended_with_all_children(#[case] script: &str) {
    let rig = Rig::shared();
    let answer = rig.run_for(1, script);
    assert!(matches!(answer.status.status_code, 401 | 513 | 514), "{:?}", answer.status);
    expect(&rig.run(PASS), 200, "ok");
}

#[test]
fn early_success_with_live_children_is_200() {
    let rig = Rig::shared();
    let answer = rig.run(&format!("setsid sleep 33.5 & {PASS}"));
    expect(&answer, 200, "ok");
    e2e::wait::wait_until(seconds(5), "the child is gone", || {
        e2e::leftovers::find_process("sleep 33.5 ").is_none()
    });
}

#[rstest]
#[case::job_folder(
    "dd if=/dev/zero of=/mnt/exercism-iteration/a bs=1k count=900 && dd if=/dev/zero of=/mnt/exercism-iteration/b bs=1k count=900 && dd if=/dev/zero of=/mnt/exercism-iteration/c bs=1k count=900 && dd if=/dev/zero of=/mnt/exercism-iteration/d bs=1k count=900 && dd if=/dev/zero of=/mnt/exercism-iteration/e bs=1k count=900"
)]
#[case::inodes(
    "cd /mnt/exercism-iteration && i=0; while [ $i -lt 500 ]; do : > f$i || exit 9; i=$((i+1)); done"
)]
#[case::root("echo x > /opt/test-runner/x")]
fn full_or_forbidden_paths_fail_only_the_tool(#[case] script: &str) {
    let rig = Rig::shared();
    expect(&rig.run(&format!("set -e; {script}")), 513, "exit_code");
    expect(&rig.run(PASS), 200, "ok");
}

#[test]
fn too_large_submission_is_400() {
    let rig = Rig::shared();
    let big = "x".repeat(300 << 10);
    expect(&rig.router.ask(&rig.request_with(&[("do.sh", PASS), ("big", &big)])), 400, "input_size");
    let names: Vec<String> = (0..21).map(|number| format!("f{number}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    expect(&rig.router.ask(&rig.request_with(&files)), 400, "input_count");
}

#[test]
fn forbidden_submission_directory_is_400() {
    let rig = Rig::shared();
    let request = |uri: &str| with(rig.request(PASS), "s3_uri", json!(uri));
    for uri in ["file:///etc", "file:///proc/self"] {
        expect(&rig.router.ask(&request(uri)), 400, "bad_uri");
    }
    let missing = format!("file://{}/none", rig.stage.submissions().display());
    let answer = rig.router.ask(&request(&missing));
    assert!(matches!(answer.status.status_code, 400 | 512), "{:?}", answer.status);
}

#[test]
fn symlinks_in_a_submission_are_not_followed() {
    let rig = Rig::shared();
    let request = rig.request("cat /mnt/exercism-iteration/secret; exit 0");
    let dir = request["s3_uri"].as_str().unwrap().trim_start_matches("file://").to_owned();
    std::os::unix::fs::symlink("/etc/hostname", format!("{dir}/secret")).unwrap();
    let answer = rig.router.ask(&request);
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let context = answer.context.to_string();
    assert!(host.trim().is_empty() || !context.contains(host.trim()), "{context}");
    assert_ne!(answer.status.status_code, 200);
}

#[test]
fn captured_output_is_lossy_and_marked_when_truncated() {
    let rig = Rig::shared();
    let answer = rig.run(&format!(r"printf 'a\377b'; {PASS}"));
    expect(&answer, 200, "ok");
    assert_eq!(answer.context["invocation"]["stdout"], "a\u{fffd}b");
    let cut = rig.run("yes");
    assert!(cut.context["invocation"]["stdout"].as_str().unwrap().starts_with("y\ny\n"));
}

#[test]
fn wall_limit_holds_with_a_slow_reader() {
    let rig = Rig::shared();
    let start = std::time::Instant::now();
    let answer = rig.run_for(1, "trap '' TERM INT HUP; while :; do sleep 1; done");
    expect(&answer, 401, "wall_time");
    assert!(start.elapsed() < seconds(6), "{:?}", start.elapsed());
}
