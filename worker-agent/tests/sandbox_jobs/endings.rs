//! Jobs whose worker or caller is gone.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Scenario;
use crate::machine::{Job, Machine, RUNC, scaled, write_program};

/// The argument that makes this program a worker with an endless job. The worker's directory follows it.
pub(crate) const WORKER: &str = "worker-in=";

pub(crate) const ALL: &[Scenario] = &[
    ("a_job_ends_with_its_caller", a_job_ends_with_its_caller),
    ("a_job_ends_with_its_worker", a_job_ends_with_its_worker),
    ("a_starting_job_dies_with_its_worker", a_starting_job_dies_with_its_worker),
    ("an_earlier_workers_job_is_swept", an_earlier_workers_job_is_swept),
    ("two_workers_may_not_share_a_dir", two_workers_may_not_share_a_dir),
];

fn a_job_ends_with_its_caller(machine: &Machine) {
    let job = Job { caller_drops_after: scaled(300), ..Job::new("sleep 100") };
    assert!(machine.run_while(&job, || async {}).is_none());
}

/// The job is an endless loop beside a `sleep`. The time until it ends is printed.
fn a_job_ends_with_its_worker(_: &Machine) {
    let work = tempfile::tempdir().unwrap();
    let worker = start_worker(work.path());
    let begun = Instant::now();
    kill(worker);
    await_no_group();
    println!("an endless loop ended {} ms after its worker was killed", begun.elapsed().as_millis());
}

fn a_starting_job_dies_with_its_worker(_: &Machine) {
    let work = tempfile::tempdir().unwrap();
    let [runc, pid] = ["runc", "pid"].map(|name| work.path().join(name));
    // This runc writes its process id, and then delays the start.
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' run '*) echo $$ > {pid}.new; mv {pid}.new {pid}; sleep 3 ;; esac\nexec {RUNC} \"$@\"\n",
        pid = pid.display()
    );
    write_program(&runc, &script);
    let worker = worker_command(work.path()).spawn().unwrap();
    wait_until(|| pid.exists(), "runc was not run");
    // The link is also gone when the process only waits to be reaped.
    let namespace = format!("/proc/{}/ns/mnt", std::fs::read_to_string(pid).unwrap().trim());
    kill(worker);
    wait_until(|| std::fs::read_link(&namespace).is_err(), "runc lives on");
    await_no_group();
}

fn an_earlier_workers_job_is_swept(_: &Machine) {
    let work = tempfile::tempdir().unwrap();
    let first = start_worker(work.path());
    for guard in children(first.id()) {
        kill_process(guard, Signal::KILL).unwrap();
    }
    kill(first);
    let left = Machine::groups();
    assert!(!left.is_empty(), "without a guard the job goes on");
    // The second worker reports that its own job runs, in the same group made again.
    kill(start_worker(work.path()));
    await_no_group();
}

fn two_workers_may_not_share_a_dir(_: &Machine) {
    let work = tempfile::tempdir().unwrap();
    let first = start_worker(work.path());
    let second = worker_command(work.path()).stderr(Stdio::piped()).output().unwrap();
    assert!(!second.status.success());
    let text = String::from_utf8_lossy(&second.stderr);
    assert!(text.contains("another worker has this name and this directory"), "{text}");
    kill(first);
    await_no_group();
}

/// Runs the worker: it prints a line when its job runs, and never ends by itself.
pub(crate) fn worker(work: &Path) {
    let machine = Machine::enter(work);
    machine.run_while(
        &Job::new("while :; do :; done & sleep 100").limits(|limits| limits.wall = "100s".parse().unwrap()),
        || async {
            Machine::processes().await;
            println!("running");
        },
    );
}

fn worker_command(work: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(format!("{WORKER}{}", work.display()));
    command
}

fn start_worker(work: &Path) -> Child {
    let mut child = worker_command(work).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "running\n");
    child
}

fn kill(mut worker: Child) {
    worker.kill().unwrap();
    worker.wait().unwrap();
}

fn children(parent: u32) -> Vec<Pid> {
    let text = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    text.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().unwrap())).collect()
}

fn await_no_group() {
    wait_until(|| Machine::groups().is_empty(), "a job's cgroup still exists");
}

fn wait_until(is_done: impl Fn() -> bool, failure: &str) {
    let deadline = Instant::now() + scaled(10_000);
    while !is_done() {
        assert!(Instant::now() < deadline, "{failure}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
