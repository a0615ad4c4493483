//! Jobs that use as much as they can: threads, all kinds of memory, inodes, depth, processors.

use std::time::Duration;

use trackyard_protocol::quantity::{Bytes, HumanDuration};

use crate::Scenario;
use crate::machine::{Job, Machine, scaled};
use crate::program::program;

pub(crate) const ALL: &[Scenario] = &[
    ("threads", threads),
    ("memory_of_other_kinds_is_limited", memory_of_other_kinds_is_limited),
    ("shared_memory_is_bounded", shared_memory_is_bounded),
    ("deep_trees_are_removed_quickly", deep_trees_are_removed_quickly),
    ("inodes_of_tmp", inodes_of_tmp),
    ("jobs_cannot_stop_the_worker", jobs_cannot_stop_the_worker),
    ("not_regular_socket", not_regular_socket),
];

const SOURCE: &str = include_str!("floods.c");

fn flood(machine: &Machine, what: &str) -> Job {
    let layers = vec![program(machine, "floods", SOURCE)];
    Job {
        layers,
        ..Job::new(&format!("floods {what}; status=$?; echo '{{}}' > $2/results.json; exit $status"))
    }
}

fn threads(machine: &Machine) {
    let job = flood(machine, "threads").limits(|limits| limits.pids = 64);
    let outcome = machine.run(&job);
    assert_eq!(outcome.reason.as_str(), "ok", "{outcome:?}");
    let made: u32 = String::from_utf8_lossy(&outcome.stdout.bytes).trim().parse().unwrap();
    assert!((32..64).contains(&made), "{made}");
    assert!(outcome.usage.pids_peak.is_none_or(|peak| peak <= 64), "{:?}", outcome.usage);
}

fn memory_of_other_kinds_is_limited(machine: &Machine) {
    for what in ["memfd", "sysv", "pages"] {
        let outcome = machine.run(&flood(machine, what));
        let found = (outcome.reason.code(), outcome.reason.as_str());
        assert_eq!(found, (403, "oom_killed"), "{what}: {outcome:?}");
    }
}

fn shared_memory_is_bounded(machine: &Machine) {
    let outcome = machine.run(&Job::new("cat /dev/zero > /dev/shm/x; echo $?; echo '{}' > $2/results.json"));
    assert_eq!((outcome.reason.as_str(), &outcome.stdout.bytes[..]), ("ok", &b"1\n"[..]), "{outcome:?}");
}

/// Asserts that the removal is quick. That nothing is left is asserted after every scenario.
fn deep_trees_are_removed_quickly(machine: &Machine) {
    let begun = std::time::Instant::now();
    let outcome =
        machine.run(&flood(machine, "deep").limits(|limits| limits.wall = HumanDuration(scaled(2000))));
    assert!(matches!(outcome.reason.code(), 401 | 514), "{outcome:?}");
    assert!(begun.elapsed() < scaled(5000), "{:?}", begun.elapsed());
}

fn inodes_of_tmp(machine: &Machine) {
    let job = flood(machine, "inodes").limits(|limits| {
        limits.wall = HumanDuration(scaled(10_000));
        limits.memory = Bytes(512 << 20);
    });
    let outcome = machine.run(&job);
    assert_eq!((outcome.reason.code(), outcome.reason.as_str()), (513, "exit_code"), "{outcome:?}");
    let made: u32 = String::from_utf8_lossy(&outcome.stdout.bytes).trim().parse().unwrap();
    assert!(made <= 65_536, "{made}");
}

/// The job stops its parents and signals every process that it sees, which are its own only.
fn jobs_cannot_stop_the_worker(machine: &Machine) {
    let wall = |limits: &mut trackyard_protocol::limits::Limits| limits.wall = HumanDuration(scaled(500));
    let job = Job::new("sleep 100 & kill -STOP -1; kill -STOP 1; kill -STOP $$; sleep 100");
    let outcome = machine.run(&job.limits(wall));
    assert_eq!((outcome.reason.code(), outcome.reason.as_str()), (401, "wall_time"), "{outcome:?}");
    assert!(Duration::from_millis(outcome.usage.wall_ms) < scaled(4000), "{:?}", outcome.usage);
    let outcome = machine.run(&Job::new("setsid sleep 100 & kill -9 -1; echo '{}' > $2/results.json"));
    assert_eq!(outcome.reason.as_str(), "ok", "{outcome:?}");
}

fn not_regular_socket(machine: &Machine) {
    let layers = vec![program(machine, "floods", SOURCE)];
    let outcome = machine.run(&Job { layers, ..Job::new("cd $2 && floods socket") });
    assert_eq!((outcome.reason.code(), outcome.reason.as_str()), (514, "not_regular"), "{outcome:?}");
}
