//! The worker's process, its real sandbox and images, and a router that is driven by hand.

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

const EXIT: Duration = Duration::from_secs(20);

/// Writes what it was given, and sleeps as long as the submission says.
const SCRIPT: &str =
    "cd /mnt/exercism-iteration; echo \"$1\"; sleep $(cat seconds); cat answer > results.json";

#[test]
fn a_job_runs_and_a_drained_worker_leaves_nothing() {
    let scenario = Scenario::new(SCRIPT);
    let mut router = Router::bind();
    let mut worker = scenario.listen(&router, &[]);
    let hello = router.welcome(&scenario);
    assert_eq!((hello.slots, hello.versions.len(), hello.bootstrap), (2, 0, Some(router.epoch)));
    router.ready();
    scenario.wait_ready();

    let job = job(&router, 1, &scenario, &scenario.submission("0", r#"{"version": 2}"#));
    router.send(&FromRouter::Job(job.clone()));
    router.until(|word| {
        matches!(word, FromWorker::Accepted(accepted) if accepted.token == job.token).then_some(())
    });
    let result = router.result();
    assert_eq!((result.token, result.key, result.verdict.known_reason()), (job.token, job.key, Reason::Ok));
    assert_eq!(serde_json::from_slice::<Value>(&result.response).unwrap()["version"], 2);
    let context: Value = serde_json::from_slice(&result.context).unwrap();
    assert_eq!(context["invocation"]["stdout"], "two-fer\n");
    assert_eq!(context["exit_status"], 0);
    assert!(!context.to_string().contains(scenario.dir()), "{context}");

    worker.signal(Signal::TERM);
    router.until(|word| matches!(word, FromWorker::Draining).then_some(()));
    router.send(&FromRouter::Ack(Acknowledge { token: job.token, ack: Ack::Stored }));
    router.until(|word| matches!(word, FromWorker::Goodbye).then_some(()));
    assert!(worker.wait_for_exit(EXIT).success());
    assert_eq!(e2e::leftovers::mounts(), Vec::<String>::new());
    assert_eq!(scenario.cgroups(), Vec::<String>::new());
}

#[test]
fn jobs_that_come_in_one_message_are_accepted_in_one() {
    let scenario = Scenario::new(SCRIPT);
    let mut router = Router::bind();
    let _worker = scenario.listen(&router, &[]);
    router.welcome(&scenario);
    router.ready();
    let jobs = [1, 2].map(|sequence| job(&router, sequence, &scenario, &scenario.submission("0", "{}")));
    router.send_together(&jobs.clone().map(FromRouter::Job));
    let ended = [router.result().token, router.result().token];
    assert!(router.together >= 2, "each word came alone");
    assert!(jobs.iter().all(|job| ended.contains(&job.token)), "{ended:?}");
}

#[test]
fn to_a_router_that_reads_no_batches_each_word_goes_alone() {
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
    assert_eq!(router.together, 1);
}

#[test]
fn bad_input_is_a_verdict_and_the_next_job_runs() {
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
fn a_cancelled_job_is_returned() {
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
fn at_the_drain_timeout_a_job_goes_back() {
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
    assert!(worker.wait_for_exit(EXIT).success());
}

#[test]
fn a_job_survives_its_router() {
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
    // Not acknowledged: the next Hello still tells of it, and the result comes again.
    router.send(&FromRouter::SayHello);
    let hello = router.welcome(&scenario);
    assert_eq!(hello.jobs.first().map(|held| held.state), Some(HeldState::Finished));
    assert_eq!(router.result().token, job.token);
}

#[test]
fn told_to_bootstrap_a_worker_asks_again_and_takes_jobs_again() {
    let scenario = Scenario::new(SCRIPT);
    let mut router = Router::bind();
    let _worker = scenario.listen(&router, &[]);
    router.welcome(&scenario);
    router.ready();
    router.epoch.0 += 1;
    router.send(&FromRouter::Drain(Drain { then: AfterDrain::Bootstrap }));
    router.until(|word| matches!(word, FromWorker::Draining).then_some(()));
    let hello = router.welcome(&scenario);
    assert_eq!((hello.bootstrap, hello.draining, router.asked), (Some(router.epoch), false, 2));
    let job = job(&router, 1, &scenario, &scenario.submission("0", "{}"));
    router.send(&FromRouter::Job(job));
    assert_eq!(router.result().verdict.known_reason(), Reason::Ok);
}

#[test]
fn images_that_cannot_run_are_told_of() {
    let scenario = Scenario::without_entry();
    let mut router = Router::bind();
    let _worker = scenario.listen(&router, &[]);
    router.welcome(&scenario);
    let failed: VersionFailed = router.failed();
    assert_eq!((failed.status_code, failed.reason.as_str(), failed.retrying), (511, "no_entry", false));
    // One that failed for good does not keep the worker from being ready.
    scenario.wait_ready();
}

#[test]
fn configure_prepares_everything_and_says_if_it_cannot() {
    let scenario = Scenario::new(SCRIPT);
    let mut router = Router::bind();
    let mut worker = scenario.configure(&router);
    assert!(router.welcome(&scenario).draining);
    assert!(worker.wait_for_exit(EXIT).success());

    let scenario = Scenario::without_entry();
    let mut worker = scenario.configure(&router);
    router.welcome(&scenario);
    assert_eq!(worker.wait_for_exit(EXIT).code(), Some(1));
    assert!(worker.log().contains("no_entry"), "{}", worker.log());
}

#[test]
fn a_worker_whose_sandbox_broke_takes_itself_out() {
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
    router.until(|word| matches!(word, FromWorker::Draining).then_some(()));
    router.send(&FromRouter::Ack(Acknowledge { token: job.token, ack: Ack::Stored }));
    router.until(|word| matches!(word, FromWorker::Goodbye).then_some(()));
    assert_eq!(worker.wait_for_exit(EXIT).code(), Some(1));
}

#[test]
fn the_image_of_a_version_that_is_gone_is_removed_when_its_last_job_ends() {
    let scenario = Scenario::new(SCRIPT);
    let mut router = Router::bind();
    let _worker = scenario.listen(&router, &[]);
    router.welcome(&scenario);
    router.ready();
    let job = job(&router, 1, &scenario, &scenario.submission("2", "{}"));
    router.send(&FromRouter::Job(job));
    router.accepted();
    router.send(&FromRouter::Desired(Desired { versions: Vec::new() }));
    router.until(|word| matches!(word, FromWorker::Unready(_)).then_some(()));
    assert_eq!(router.result().verdict.known_reason(), Reason::Ok);
    scenario.wait_without_layers();
}
