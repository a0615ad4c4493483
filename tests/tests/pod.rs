//! A worker in a pod: its jobs are within the pod's limits, and in other cgroups than the worker.
#![cfg(test)]

use std::path::Path;

use e2e::binaries::binary;
use e2e::cgroups::{self, read_first};
use e2e::leftovers::find_process;
use e2e::pod::MEMORY_LIMIT;
use e2e::request::expect;
use e2e::rig::{Rig, small_limits};
use e2e::wait::{seconds, wait_for};
use e2e::worker::WorkerOptions;

const PASS: &str = "echo '{}' > /mnt/exercism-iteration/results.json";

fn rig() -> Rig {
    Rig::with_worker(small_limits(), WorkerOptions::new("pod-1").slots(2).in_pod())
}

/// Returns the peak memory of a group and all groups below it.
fn peak(group: &Path) -> u64 {
    read_first(group, &["memory.max_usage_in_bytes", "memory.peak"]).parse().unwrap()
}

#[test]
fn job_memory_is_charged_to_its_pod() {
    let rig = rig();
    let group = rig.worker.pod().group("memory");
    assert_eq!(read_first(&group, &["memory.limit_in_bytes", "memory.max"]), MEMORY_LIMIT.to_string());
    expect(&rig.run(PASS), 200, "ok");
    let before = peak(&group);
    // More memory than the job may use.
    let answer = rig.run("dd if=/dev/zero of=/dev/null bs=200M count=1");
    expect(&answer, 403, "oom_killed");
    let used = answer.context["usage"]["memory_peak_bytes"].as_u64().unwrap();
    let after = peak(&group);
    assert!(used > 60 << 20, "the job had {used}");
    assert!(after > before && after >= used, "{before}, then {after}, with a job that had {used}");
    // Only version 2 counts the events of a group's descendants.
    if group.join("memory.events").exists() {
        let events = read_first(&group, &["memory.events"]);
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill ")).unwrap();
        assert_ne!(kills, "0", "{events}");
    }
    expect(&rig.run(PASS), 200, "ok");
}

#[test]
fn agent_and_jobs_have_sibling_groups() {
    let rig = rig();
    let client = rig.router.client();
    client.send(&rig.request("exec sleep 4.25")).unwrap();
    let job = wait_for(seconds(20), "the container runs", || find_process("sleep 4.25 "));
    let pod = rig.worker.pod();
    for controller in ["memory", "pids", "cpu"] {
        let group = pod.group(controller);
        let agent = cgroups::of_process(pod.first_process(), controller);
        let job = cgroups::of_process(job, controller);
        if group.join("cgroup.controllers").exists() {
            assert_eq!(agent, group.join("agent"));
            assert!(job.starts_with(group.join("jobs")), "{}", job.display());
        } else {
            assert_eq!(agent, group);
            assert!(job.starts_with(&group) && job != group, "{}", job.display());
        }
    }
    let _ = client.receive(seconds(40)).unwrap();
}

#[test]
fn doctor_accepts_pod_beside_its_agent() {
    let rig = rig();
    let dir = rig.stage.path("doctor");
    let worker = binary("trackyard-worker").canonicalize().unwrap();
    let output = rig.worker.pod().exec(&[worker.to_str().unwrap(), "doctor", dir.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.lines().any(|line| line.starts_with("ok") && line.contains("a known good job")), "{text}");
    expect(&rig.run(PASS), 200, "ok");
}
