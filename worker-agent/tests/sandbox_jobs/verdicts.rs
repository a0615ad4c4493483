//! Each verdict, with its real cause.

use std::fs;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Signal, kill_process};
use tokio_util::sync::CancellationToken;
use trackyard_protocol::quantity::{Bytes, HumanDuration};
use trackyard_worker::sandbox::JobOutcome;

use crate::Scenario;
use crate::machine::{Job, Machine, scaled, write_program};

pub(crate) const ALL: &[Scenario] = &[
    ("ok", ok),
    ("ok_with_leftover_children", ok_with_leftover_children),
    ("wall_time", wall_time),
    ("wall_time_after_closing_its_output", wall_time_after_closing_its_output),
    ("cpu_time", cpu_time),
    ("stdout_limit", stdout_limit),
    ("stderr_limit", stderr_limit),
    ("file_size", file_size),
    ("oom_killed", oom_killed),
    ("oom_killed_although_the_exit_is_0", oom_killed_although_the_exit_is_0),
    ("oom_killed_by_filling_tmp", oom_killed_by_filling_tmp),
    ("killed", killed),
    ("syscall_blocked", syscall_blocked),
    ("exit_code", exit_code),
    ("exit_code_127_without_interpreter", exit_code_127_without_interpreter),
    ("exit_code_126_without_permission", exit_code_126_without_permission),
    ("signal", signal),
    ("cancelled", cancelled),
    ("memory_too_small_to_start", memory_too_small_to_start),
    ("a_missing_layer_is_a_mount_error", a_missing_layer_is_a_mount_error),
];

fn expect(outcome: &JobOutcome, code: u16, name: &str) {
    let found = (outcome.reason.code(), outcome.reason.as_str());
    assert_eq!(found, (code, name), "{outcome:?} {}", String::from_utf8_lossy(&outcome.stderr.bytes));
}

fn ok(machine: &Machine) {
    let outcome = machine
        .run(&Job::new("echo \"$@\"; pwd; echo $HOME; id -u > /dev/stderr; echo '[1]' > $2/results.json"));
    expect(&outcome, 200, "ok");
    let dir = "/mnt/exercism-iteration/";
    let stdout = format!("two-fer {dir} {dir}\n/opt/test-runner\n/tmp\n");
    assert_eq!(String::from_utf8_lossy(&outcome.stdout.bytes), stdout);
    assert_eq!(outcome.stderr.bytes, b"0\n");
    assert_eq!(outcome.files["results.json"], b"[1]\n");
    assert_eq!(outcome.exit_status, Some(0));
}

fn ok_with_leftover_children(machine: &Machine) {
    let script = "setsid sleep 100 & (trap '' TERM; sleep 100) & echo '{}' > $2/results.json";
    let outcome = machine.run(&Job::new(script));
    expect(&outcome, 200, "ok");
    assert!(Duration::from_millis(outcome.usage.wall_ms) < scaled(2000), "{:?}", outcome.usage);
}

fn wall_time(machine: &Machine) {
    let limit = scaled(500);
    let job = Job::new("sleep 100").limits(|limits| limits.wall = HumanDuration(limit));
    let outcome = machine.run(&job);
    expect(&outcome, 401, "wall_time");
    let used: f64 = outcome.message["stopped after ".len()..].split(' ').next().unwrap().parse().unwrap();
    assert!((1.0..1.2).contains(&(used / limit.as_secs_f64())), "{}", outcome.message);
    assert!(outcome.message.ends_with(&format!("limit {} s", limit.as_secs_f64())), "{}", outcome.message);
}

fn wall_time_after_closing_its_output(machine: &Machine) {
    let job = Job::new("echo '{}' > $2/results.json; exec >&- 2>&-; while :; do sleep 1; done");
    expect(&machine.run(&job.limits(|limits| limits.wall = HumanDuration(scaled(1000)))), 401, "wall_time");
}

fn cpu_time(machine: &Machine) {
    let mut job = Job::new("while :; do :; done & while :; do :; done");
    job.cpu_time = Some(scaled(400));
    let outcome = machine.run(&job);
    expect(&outcome, 401, "cpu_time");
    let used = Duration::from_millis(outcome.usage.cpu_user_ms + outcome.usage.cpu_sys_ms);
    assert!((scaled(400)..scaled(700)).contains(&used), "used {used:?}: {}", outcome.message);
}

fn stdout_limit(machine: &Machine) {
    let outcome = machine.run(&Job::new("yes"));
    expect(&outcome, 402, "stdout_limit");
    assert_eq!(outcome.stdout.bytes.len(), 64 << 10);
    let exact = Job::new("head -c 1048576 /dev/zero; echo '{}' > $2/results.json");
    expect(&machine.run(&exact), 200, "ok");
}

fn stderr_limit(machine: &Machine) {
    let outcome = machine.run(&Job::new("head -c 1048577 /dev/zero >&2; echo '{}' > $2/results.json"));
    expect(&outcome, 402, "stderr_limit");
}

fn file_size(machine: &Machine) {
    let job = Job::new("sh -c 'head -c 3000000 /dev/zero > /tmp/large'; exit $?");
    let outcome = machine.run(&job.limits(|limits| limits.file_size = Bytes(1 << 20)));
    expect(&outcome, 402, "file_size");
    assert_eq!(outcome.exit_status, Some(153));
}

fn oom_killed(machine: &Machine) {
    let outcome = machine.run(&Job::new("tail /dev/zero"));
    expect(&outcome, 403, "oom_killed");
    assert!(outcome.message.ends_with("limit 128Mi"), "{}", outcome.message);
    assert!(outcome.usage.memory_peak_bytes.is_none_or(|peak| peak <= 128 << 20), "{:?}", outcome.usage);
}

fn oom_killed_although_the_exit_is_0(machine: &Machine) {
    let outcome = machine.run(&Job::new("tail /dev/zero; echo '{}' > $2/results.json; exit 0"));
    expect(&outcome, 403, "oom_killed");
}

fn oom_killed_by_filling_tmp(machine: &Machine) {
    expect(&machine.run(&Job::new("cat /dev/zero > /tmp/x; sleep 5")), 403, "oom_killed");
}

/// A process outside of the container, and not the worker, sends SIGKILL.
fn killed(machine: &Machine) {
    let outcome = machine.run_while(&Job::new("sleep 100"), || async {
        for pid in Machine::processes().await {
            // The first process takes the others with it.
            assert!(matches!(kill_process(pid, Signal::KILL), Ok(()) | Err(Errno::SRCH)));
        }
    });
    expect(&outcome.unwrap(), 403, "killed");
}

fn syscall_blocked(machine: &Machine) {
    expect(&machine.run(&Job::new("exec rmmod nothing")), 403, "syscall_blocked");
}

fn exit_code(machine: &Machine) {
    // A result that a student wrote beforehand does not count if the tool fails.
    let outcome = machine.run(&Job::new("echo '{}' > $2/results.json; exit 3"));
    expect(&outcome, 513, "exit_code");
    assert_eq!(outcome.exit_status, Some(3));
    let outcome = machine.run(&Job::new("sh -c 'kill -SEGV $$'; exit $?"));
    expect(&outcome, 513, "exit_code");
    assert!(outcome.message.contains("signal 11 (SIGSEGV)"), "{}", outcome.message);
}

fn exit_code_127_without_interpreter(machine: &Machine) {
    let layer = machine.layer("no-interpreter");
    write_program(&layer.join("opt/test-runner/bin/run.sh"), "#!/bin/bash\necho never\n");
    let outcome = machine.run(&Job { layers: vec![layer], ..Job::new("") });
    expect(&outcome, 513, "exit_code");
    assert_eq!(outcome.exit_status, Some(127), "{outcome:?}");
}

fn exit_code_126_without_permission(machine: &Machine) {
    let layer = machine.layer("no-permission");
    fs::create_dir_all(layer.join("opt/test-runner/bin")).unwrap();
    fs::write(layer.join("opt/test-runner/bin/run.sh"), "#!/bin/sh\n").unwrap();
    let outcome = machine.run(&Job { layers: vec![layer], ..Job::new("") });
    expect(&outcome, 513, "exit_code");
    assert_eq!(outcome.exit_status, Some(126), "{outcome:?}");
}

/// The first process overflows its stack.
fn signal(machine: &Machine) {
    let outcome = machine.run(&Job::new("f() { f; }; f"));
    expect(&outcome, 513, "signal");
    assert_eq!(outcome.exit_status, None);
    assert!(outcome.message.contains("SIGSEGV"), "{}", outcome.message);
}

fn cancelled(machine: &Machine) {
    let job = Job { cancel: CancellationToken::new(), ..Job::new("sleep 100") };
    let outcome = machine.run_while(&job, || async {
        Machine::processes().await;
        job.cancel.cancel();
    });
    let outcome = outcome.unwrap();
    expect(&outcome, 504, "deadline");
    assert!(Duration::from_millis(outcome.usage.wall_ms) < scaled(4000));
}

fn memory_too_small_to_start(machine: &Machine) {
    let outcome = machine.run(&Job::new("true").limits(|limits| limits.memory = Bytes(256 << 10)));
    expect(&outcome, 403, "oom_killed");
}

fn a_missing_layer_is_a_mount_error(machine: &Machine) {
    let error = machine.prepare_error(&Job { layers: vec!["/nowhere".into()], ..Job::new("true") });
    assert_eq!((error.reason().code(), error.reason().as_str()), (512, "mount"));
    assert!(!error.client_message().contains("nowhere"));
}
