//! The worker's process, its real sandbox and images, and a router that the test drives.

// `cfg(test)` tells the linter that these are tests, which may unwrap and index.
#[cfg(test)]
mod router;
#[cfg(test)]
mod scenario;

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::worker::{
    Ack, Acknowledge, AfterDrain, Cancel, Desired, Drain, FromRouter, FromWorker, HeldState, VersionFailed,
};

use router::Router;
use scenario::{Scenario, job};

const EXIT_TIMEOUT: Duration = Duration::from_secs(20);

/// Prints its argument, and sleeps for as long as the submission says.
const SCRIPT: &str =
    "cd /mnt/exercism-iteration; echo \"$1\"; sleep $(cat seconds); cat answer > results.json";

#[test]
fn drained_worker_leaves_nothing() {
    let scenario = Scenario::new(SCRIPT);
    let mut router = Router::bind();
    let mut worker = scenario.listen(&router, &[]);
    let hello = router.welcome(&scenario);
    assert_eq!((hello.slots, hello.versions.len(), hello.bootstrap), (2, 0, Some(router.epoch)));
    router.ready();
    scenario.wait_ready();

    let job = job(&router, 1, &scenario, &scenario.submission("0", r#"{"version": 2}"#));
    router.send(&FromRouter::Job(job.clone()));
    router.until(|message| {
        matches!(message, FromWorker::Accepted(accepted) if accepted.token == job.token).then_some(())
    });
    let result = router.result();
    assert_eq!((result.token, result.key, result.verdict.known_reason()), (job.token, job.key, Reason::Ok));
    assert_eq!(serde_json::from_slice::<Value>(&result.response).unwrap()["version"], 2);
    let context: Value = serde_json::from_slice(&result.context).unwrap();
    assert_eq!(context["invocation"]["stdout"], "two-fer\n");
    assert_eq!(context["exit_status"], 0);
    assert!(!context.to_string().contains(scenario.dir()), "{context}");

    worker.signal(Signal::TERM);
    router.until(|message| matches!(message, FromWorker::Draining).then_some(()));
    router.send(&FromRouter::Ack(Acknowledge { token: job.token, ack: Ack::Stored }));
    router.until(|message| matches!(message, FromWorker::Goodbye).then_some(()));
    assert!(worker.wait_for_exit(EXIT_TIMEOUT).success());
    assert_eq!(e2e::leftovers::mounts(), Vec::<String>::new());
    assert_eq!(scenario.cgroups(), Vec::<String>::new());
}

#[test]
fn batched_jobs_are_accepted_in_a_batch() {
    let scenario = Scenario::new(SCRIPT);
    let mut router = Router::bind();
    let _worker = scenario.listen(&router, &[]);
    router.welcome(&scenario);
    router.ready();
    let jobs = [1, 2].map(|sequence| job(&router, sequence, &scenario, &scenario.submission("0", "{}")));
    router.send_together(&jobs.clone().map(FromRouter::Job));
    let ended = [router.result().token, router.result().token];
    assert!(router.largest_batch >= 2, "each message came alone");
    assert!(jobs.iter().all(|job| ended.contains(&job.token)), "{ended:?}");
}

#[test]
fn old_router_gets_no_batches() {
    let scenario = Scenario::new(SCRIPT);
    let mut router = Router::bind();
    router.protocol = 1;
    let _worker = scenario.listen(&router, &[]);
    router.welcome(&scenario);
    router.ready();
    let jobs = [1, 2].map(|sequence| job(&router, sequence, &scenario, &scenario.submission("0", "{}")));
    router.send_together(&jobs.map(FromRouter::Job));
    router.result();
    router.result();
    assert_eq!(router.largest_batch, 1);
}

#[test]
fn bad_input_is_a_verdict() {
    let scenario = Scenario::new(SCRIPT);
    let mut router = Router::bind();
    let _worker = scenario.listen(&router, &[]);
    router.welcome(&scenario);
    router.ready();
    let good = scenario.submission("0", "{}");
    for (sequence, (uri, reason)) in
        [("file:///etc", Reason::BadUri), ("s3://other/1", Reason::BadUri), (good.as_str(), Reason::Ok)]
            .into_iter()
            .enumerate()
    {
        let job = job(&router, sequence as u64, &scenario, uri);
        router.send(&FromRouter::Job(job.clone()));
        let result = router.result();
        assert_eq!((result.token, result.verdict.known_reason()), (job.token, reason), "{uri}");
        router.send(&FromRouter::Ack(Acknowledge { token: job.token, ack: Ack::Stored }));
    }
}

#[test]
fn cancelled_job_is_returned() {
    let scenario = Scenario::new(SCRIPT);
    let mut router = Router::bind();
    let _worker = scenario.listen(&router, &[]);
    router.welcome(&scenario);
    router.ready();
    let job = job(&router, 1, &scenario, &scenario.submission("30", "{}"));
    router.send(&FromRouter::Job(job.clone()));
    router.accepted();
    scenario.wait_running();
    router.send(&FromRouter::Cancel(Cancel { token: job.token }));
    assert_eq!(router.returned().why, "cancelled");
}

#[test]
fn drain_timeout_returns_jobs() {
    let scenario = Scenario::new(SCRIPT);
    let mut router = Router::bind();
    let mut worker = scenario.listen(&router, &["--drain-timeout", "1s"]);
    router.welcome(&scenario);
    router.ready();
    let job = job(&router, 1, &scenario, &scenario.submission("30", "{}"));
    router.send(&FromRouter::Job(job));
    router.accepted();
    worker.signal(Signal::TERM);
    assert_eq!(router.returned().why, "draining");
    assert!(worker.wait_for_exit(EXIT_TIMEOUT).success());
}

#[test]
fn job_survives_a_router_restart() {
    let scenario = Scenario::new(SCRIPT);
    let mut router = Router::bind();
    let _worker = scenario.listen(&router, &[]);
    router.welcome(&scenario);
    router.ready();
    let job = job(&router, 1, &scenario, &scenario.submission("2", "{}"));
    router.send(&FromRouter::Job(job.clone()));
    router.accepted();
    router.start_again();
    let hello = router.welcome(&scenario);
    let held: Vec<_> = hello.jobs.iter().map(|held| (held.token, held.key)).collect();
    assert_eq!(held, [(job.token, job.key)]);
    assert_eq!((hello.versions.len(), hello.bootstrap.is_some()), (1, true));
    assert_eq!(router.result().verdict.known_reason(), Reason::Ok);
    // It is not acknowledged, so the next Hello lists it and the result is sent again.
    router.send(&FromRouter::SayHello);
    let hello = router.welcome(&scenario);
    assert_eq!(hello.jobs.first().map(|held| held.state), Some(HeldState::Finished));
    assert_eq!(router.result().token, job.token);
}

#[test]
fn worker_bootstraps_again_and_takes_jobs() {
    let scenario = Scenario::new(SCRIPT);
    let mut router = Router::bind();
    let _worker = scenario.listen(&router, &[]);
    router.welcome(&scenario);
    router.ready();
    router.epoch.0 += 1;
    router.send(&FromRouter::Drain(Drain { then: AfterDrain::Bootstrap }));
    router.until(|message| matches!(message, FromWorker::Draining).then_some(()));
    let hello = router.welcome(&scenario);
    assert_eq!((hello.bootstrap, hello.draining, router.bootstrap_requests), (Some(router.epoch), false, 2));
    let job = job(&router, 1, &scenario, &scenario.submission("0", "{}"));
    router.send(&FromRouter::Job(job));
    assert_eq!(router.result().verdict.known_reason(), Reason::Ok);
}

#[test]
fn image_without_entry_script_is_reported() {
    let scenario = Scenario::without_entry();
    let mut router = Router::bind();
    let _worker = scenario.listen(&router, &[]);
    router.welcome(&scenario);
    let failed: VersionFailed = router.failed();
    assert_eq!((failed.status_code, failed.reason.as_str(), failed.retrying), (511, "no_entry", false));
    // A permanent failure does not keep the worker from being ready.
    scenario.wait_ready();
}

#[test]
fn configure_prepares_everything_or_fails() {
    let scenario = Scenario::new(SCRIPT);
    let mut router = Router::bind();
    let mut worker = scenario.configure(&router);
    assert!(router.welcome(&scenario).draining);
    assert!(worker.wait_for_exit(EXIT_TIMEOUT).success());

    let scenario = Scenario::without_entry();
    let mut worker = scenario.configure(&router);
    router.welcome(&scenario);
    assert_eq!(worker.wait_for_exit(EXIT_TIMEOUT).code(), Some(1));
    assert!(worker.log().contains("no_entry"), "{}", worker.log());
}

#[test]
fn worker_with_a_broken_sandbox_exits() {
    let scenario = Scenario::new(SCRIPT);
    let mut router = Router::bind();
    let mut worker = scenario.listen(&router, &[]);
    router.welcome(&scenario);
    router.ready();
    let job = job(&router, 1, &scenario, &scenario.submission("30", "{}"));
    router.send(&FromRouter::Job(job.clone()));
    router.accepted();
    scenario.break_canary();
    scenario.kill_container();
    assert_eq!(router.result().verdict.known_reason(), Reason::CanaryFailed);
    router.until(|message| matches!(message, FromWorker::Draining).then_some(()));
    router.send(&FromRouter::Ack(Acknowledge { token: job.token, ack: Ack::Stored }));
    router.until(|message| matches!(message, FromWorker::Goodbye).then_some(()));
    assert_eq!(worker.wait_for_exit(EXIT_TIMEOUT).code(), Some(1));
}

#[test]
fn undesired_image_is_removed_after_its_last_job() {
    let scenario = Scenario::new(SCRIPT);
    let mut router = Router::bind();
    let _worker = scenario.listen(&router, &[]);
    router.welcome(&scenario);
    router.ready();
    let job = job(&router, 1, &scenario, &scenario.submission("2", "{}"));
    router.send(&FromRouter::Job(job));
    router.accepted();
    router.send(&FromRouter::Desired(Desired { versions: Vec::new() }));
    router.until(|message| matches!(message, FromWorker::Unready(_)).then_some(()));
    assert_eq!(router.result().verdict.known_reason(), Reason::Ok);
    scenario.wait_without_layers();
}
