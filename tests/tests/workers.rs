//! The life of a worker process: its directory, its drain, its death, and what it leaves behind.
#![cfg(test)]

use std::process::Command;

use e2e::binaries::binary;
use e2e::fake_worker::{AutomaticWorker, hello};
use e2e::leftovers::{cgroups, find_process};
use e2e::request::{expect, test_solution, version};
use e2e::router::Router;
use e2e::stage::{RUN_SUBMISSION, Stage};
use e2e::tooling::tools;
use e2e::wait::{seconds, wait_for, wait_until};
use e2e::worker::WorkerOptions;
use rustix::process::Signal;
use serde_json::{Value, json};

const PASS: &str = "echo '{}' > /mnt/exercism-iteration/results.json";

struct Setup {
    router: Router,
    stage: Stage,
}

impl Setup {
    fn start() -> Self {
        let stage = Stage::new();
        stage.test_runner("ruby", 'a', RUN_SUBMISSION);
        let router = Router::start(&stage.config().deployed("test_runners", "ruby", &[&version('a')]));
        Self { router, stage }
    }

    fn job(&self, id: &str, script: &str) -> Value {
        test_solution(id, "ruby", &self.stage.submission(id, &[("do.sh", script)]), &version('a'))
    }
}

#[test]
fn two_workers_cannot_share_a_directory() {
    let setup = Setup::start();
    let dir = setup.stage.path("work");
    let _first = WorkerOptions::new("any-1").dir(&dir).start(&setup.router);
    let mut second = WorkerOptions::new("any-2").dir(&dir).launch(&setup.router);
    let status = second.process().wait_for_exit(seconds(10));
    assert!(!status.success());
    let log = second.process().log();
    assert!(log.contains(&*dir.to_string_lossy()), "{log}");
    expect(&setup.router.ask(&setup.job("1", PASS)), 200, "ok");
}

#[test]
fn killed_workers_job_runs_elsewhere_once() {
    let setup = Setup::start();
    let mut first = WorkerOptions::new("ruby-1").topic("ruby").start(&setup.router);
    let client = setup.router.client();
    client.send(&setup.job("1", &format!("sleep 3.125; {PASS}"))).unwrap();
    wait_for(seconds(10), "the container runs", || find_process("sleep 3.125 "));
    let _second = WorkerOptions::new("any-2").start(&setup.router);
    first.process().kill();
    wait_until(seconds(5), "one container at most runs", || {
        setup.router.status().to_string().contains("any-2")
    });
    let answer = client.receive(seconds(30)).unwrap();
    expect(&answer, 200, "ok");
    assert_eq!((&answer.context["worker"], &answer.context["attempt"]), (&json!("any-2"), &json!(2)));
    assert!(find_process("sleep 3.125 ").is_none(), "the killed worker's container lives on");
}

#[test]
fn killed_worker_leaves_no_container_running() {
    let setup = Setup::start();
    let mut worker = WorkerOptions::new("any-1").start(&setup.router);
    let client = setup.router.client();
    client.send(&setup.job("1", "sleep 41.5")).unwrap();
    wait_for(seconds(10), "the container runs", || find_process("sleep 41.5 "));
    worker.process().kill();
    wait_until(seconds(3), "the guard has ended it", || find_process("sleep 41.5 ").is_none());
}

#[test]
fn frozen_workers_job_runs_elsewhere() {
    let setup = Setup::start();
    let mut first = WorkerOptions::new("ruby-1").topic("ruby").start(&setup.router);
    let client = setup.router.client();
    client.send(&setup.job("1", &format!("sleep 2.0625; {PASS}"))).unwrap();
    wait_for(seconds(10), "the container runs", || find_process("sleep 2.0625 "));
    first.process().signal(Signal::STOP);
    let _second = WorkerOptions::new("any-2").start(&setup.router);
    let answer = client.receive(seconds(20)).unwrap();
    expect(&answer, 200, "ok");
    assert_eq!(answer.context["worker"], "any-2");
    // When the worker runs again, its late result is dropped, and it keeps serving.
    first.process().signal(Signal::CONT);
    wait_until(seconds(15), "the worker serves again", || {
        setup
            .router
            .ask(&setup.job(&format!("n{}", rustix::process::getpid().as_raw_nonzero()), PASS))
            .status
            .ok
            && setup.router.status().to_string().contains("ruby-1")
    });
}

#[test]
fn restarted_router_answers_the_same_id() {
    let mut setup = Setup::start();
    let _worker = WorkerOptions::new("any-1").start(&setup.router);
    let request = setup.job("1", &format!("date +%s; sleep 3.5625; {PASS}"));
    setup.router.client().request(&setup.job("0", PASS), seconds(20)).unwrap();
    let client = setup.router.client();
    client.send(&request).unwrap();
    wait_for(seconds(10), "the container runs", || find_process("sleep 3.5625 "));
    setup.router.kill();
    setup.router.restart(&[]);
    let again = setup.router.client();
    let answer = again.request(&request, seconds(30)).unwrap();
    expect(&answer, 200, "ok");
    let started: f64 = answer.context["invocation"]["stdout"].as_str().unwrap().trim().parse().unwrap();
    // The answer is from the container that was running when the router died, not from a second one.
    let received = answer.context["timing"]["start_time"].as_f64().unwrap();
    assert!(started * 1e3 < received, "the job ran again");
}

#[test]
fn sigterm_drains_running_job() {
    let setup = Setup::start();
    let mut worker = WorkerOptions::new("any-1").start(&setup.router);
    let client = setup.router.client();
    client.send(&setup.job("1", &format!("sleep 1.5625; {PASS}"))).unwrap();
    wait_for(seconds(10), "the container runs", || find_process("sleep 1.5625 "));
    worker.process().signal(Signal::TERM);
    expect(&client.receive(seconds(20)).unwrap(), 200, "ok");
    assert!(worker.process().wait_for_exit(seconds(10)).success());
    expect(&setup.router.ask(&setup.job("2", PASS)), 503, "no_worker");
}

#[test]
fn job_runs_elsewhere_after_drain_timeout() {
    let setup = Setup::start();
    let mut first =
        WorkerOptions::new("ruby-1").topic("ruby").flags(&["--drain-timeout", "1s"]).start(&setup.router);
    // The generic worker is ready before the job is sent; the scoped worker still gets the job.
    let _second = WorkerOptions::new("any-2").start(&setup.router);
    let client = setup.router.client();
    client.send(&setup.job("1", &format!("sleep 4.1875; {PASS}"))).unwrap();
    wait_for(seconds(10), "the container runs", || find_process("sleep 4.1875 "));
    first.process().signal(Signal::TERM);
    let answer = client.receive(seconds(30)).unwrap();
    expect(&answer, 200, "ok");
    assert_eq!(answer.context["worker"], "any-2");
}

#[test]
fn force_worker_restart_bootstraps_workers_again() {
    let mut setup = Setup::start();
    let mut worker = WorkerOptions::new("any-1").start(&setup.router);
    expect(&setup.router.ask(&setup.job("1", PASS)), 200, "ok");
    setup.router.kill();
    setup.router.restart(&["--force-worker-restart"]);
    wait_until(seconds(30), "the worker serves again", || {
        assert!(worker.process().is_running(), "{}", worker.process().log());
        setup.router.ask(&setup.job("2", PASS)).status.ok
    });
}

#[test]
fn configure_prepares_every_version_and_exits() {
    let setup = Setup::start();
    let dir = setup.stage.path("work");
    let url = format!("{}/test_runners", setup.router.clients());
    let configure = || {
        Command::new(binary("trackyard-worker"))
            .args(["configure", "any-1", &url])
            .arg(&dir)
            .output()
            .unwrap()
    };
    let output = configure();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(std::fs::read_dir(dir.join("layers")).unwrap().count() >= 2);
}

fn doctor(change: impl FnOnce(&mut Command)) -> String {
    let dir = tempfile::TempDir::new().unwrap();
    let mut command = Command::new(binary("trackyard-worker"));
    command.arg("doctor").arg(dir.path());
    change(&mut command);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

fn line<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find(|line| line.contains(name)).unwrap_or(text)
}

#[test]
fn doctor_accepts_this_machine_for_every_driver() {
    let text = doctor(|command| {
        command.arg("--tools").arg(tools());
    });
    assert!(!text.contains("FAIL"), "{text}");
    for driver in ["driver img", "driver buildkit", "driver buildah"] {
        assert!(line(&text, driver).starts_with("ok "), "{text}");
    }
}

#[test]
fn doctor_names_remedy_for_missing_driver() {
    let runc = e2e::binaries::system("runc", "runc");
    let text = doctor(|command| {
        command.arg("--runc").arg(runc).args(["--tools", "/nonexistent"]).env("PATH", "/nonexistent");
    });
    let buildah = line(&text, "driver buildah");
    assert!(buildah.starts_with("warn"), "{text}");
    assert!(buildah.contains("buildah is not installed; install it"), "{text}");
    assert!(buildah.contains("make setup"), "{text}");
}

#[test]
fn jobs_leave_no_cgroup_behind() {
    let setup = Setup::start();
    let _other =
        AutomaticWorker::start(&setup.router, hello("fake", &["python"], 1, &[]), std::time::Duration::ZERO);
    let worker = WorkerOptions::new("any-1").start(&setup.router);
    for id in 0..3 {
        expect(&setup.router.ask(&setup.job(&id.to_string(), PASS)), 200, "ok");
    }
    let pid = worker.dir().display().to_string();
    drop(worker);
    let left: Vec<_> =
        cgroups().into_iter().filter(|group| group.display().to_string().contains(&pid)).collect();
    assert!(left.is_empty(), "{left:?}");
}
