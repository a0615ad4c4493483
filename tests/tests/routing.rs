//! Which worker gets a job, which jobs wait, and which are refused at once. The router is real; the workers speak the
//! protocol and run nothing.
#![cfg(test)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use e2e::config::Config;
use e2e::fake_worker::{AutomaticWorker, FakeWorker, hello};
use e2e::request::{expect, pinned, test_solution, version, with};
use e2e::router::Router;
use e2e::wait::{seconds, wait_until};
use serde_json::{Value, json};
use trackyard_protocol::client::Client;
use trackyard_protocol::worker::FromRouter;

const URI: &str = "file:///srv/submissions/1";

fn config() -> Config {
    Config::layout("/nonexistent/images".as_ref())
        .deployed("test_runners", "ruby", &[&pinned('a')])
        .deployed("test_runners", "python", &[&pinned('b')])
        .deployed("test_runners", "csharp", &[&pinned('c')])
}

fn ruby(id: &str) -> Value {
    test_solution(id, "ruby", URI, &version('a'))
}

fn python(id: &str) -> Value {
    test_solution(id, "python", URI, &version('b'))
}

/// Sends all requests at once. Returns each answer's worker by id.
fn send_all(client: &Client, requests: &[Value]) -> BTreeMap<String, String> {
    for request in requests {
        client.send(request).unwrap();
    }
    let answers = requests.iter().map(|_| client.receive(seconds(60)).unwrap());
    answers
        .map(|answer| {
            expect(&answer, 200, "ok");
            let text = |field: &str| answer.context[field].as_str().unwrap().to_owned();
            (text("id"), text("worker"))
        })
        .collect()
}

#[test]
fn scoped_worker_is_preferred() {
    let router = Router::start(&config());
    let ready = [("ruby", pinned('a')), ("python", pinned('b'))];
    let ready: Vec<(&str, &str)> = ready.iter().map(|(track, version)| (*track, version.as_str())).collect();
    let generic = AutomaticWorker::start(&router, hello("any-1", &[], 4, &ready), Duration::ZERO);
    let scoped = AutomaticWorker::start(&router, hello("ruby-1", &["ruby"], 1, &ready[..1]), Duration::ZERO);
    for id in 0..5 {
        let answer = router.ask(&ruby(&format!("r{id}")));
        assert_eq!(answer.context["worker"], "ruby-1");
    }
    assert_eq!(router.ask(&python("p")).context["worker"], "any-1");
    assert_eq!((scoped.jobs().len(), generic.jobs().len()), (5, 1));
}

#[test]
fn generic_worker_helps_a_busy_scoped_one() {
    let router = Router::start(&config());
    let ready = [("ruby", &*pinned('a'))];
    let _generic =
        AutomaticWorker::start(&router, hello("any-1", &[], 1, &ready), Duration::from_millis(300));
    let _scoped =
        AutomaticWorker::start(&router, hello("ruby-1", &["ruby"], 1, &ready), Duration::from_millis(300));
    let workers = send_all(&router.client(), &[ruby("1"), ruby("2")]);
    assert_eq!((workers["1"].as_str(), workers["2"].as_str()), ("ruby-1", "any-1"));
}

#[test]
fn job_never_goes_to_another_tracks_worker() {
    let router = Router::start(&config());
    // The worker even claims to have the ruby version ready.
    let ready = [("csharp", pinned('c')), ("ruby", pinned('a'))];
    let ready: Vec<(&str, &str)> = ready.iter().map(|(track, version)| (*track, version.as_str())).collect();
    let csharp = AutomaticWorker::start(&router, hello("csharp-1", &["csharp"], 8, &ready), Duration::ZERO);
    for id in 0..20 {
        expect(&router.ask(&ruby(&id.to_string())), 503, "no_worker");
    }
    assert!(csharp.jobs().is_empty());
    expect(&router.ask(&test_solution("c", "csharp", URI, &version('c'))), 200, "ok");
}

#[test]
fn burst_is_shared_evenly() {
    let router = Router::start(&config());
    let ready = [("ruby", &*pinned('a'))];
    let start = |name: &str| {
        AutomaticWorker::start(&router, hello(name, &["ruby"], 1, &ready), Duration::from_millis(20))
    };
    let first = start("ruby-1");
    let second = start("ruby-2");
    let jobs: Vec<Value> = (0..60).map(|id| ruby(&id.to_string())).collect();
    send_all(&router.client(), &jobs);
    let one = first.jobs().len();
    let two = second.jobs().len();
    assert!(one.abs_diff(two) <= 1, "{one} and {two} jobs");
}

#[test]
fn tracks_take_turns() {
    let router = Router::start(&config().set(&["queue", "max_wait"], json!("60s")));
    let ready = [("ruby", pinned('a')), ("python", pinned('b'))];
    let ready: Vec<(&str, &str)> = ready.iter().map(|(track, version)| (*track, version.as_str())).collect();
    let worker = AutomaticWorker::start(&router, hello("any-1", &[], 1, &ready), Duration::from_millis(2));
    let client = router.client();
    let rubies: Vec<Value> = (0..1000).map(|id| ruby(&format!("r{id}"))).collect();
    for request in &rubies {
        client.send(request).unwrap();
    }
    wait_until(seconds(10), "a ruby job runs", || !worker.jobs().is_empty());
    for id in 0..10 {
        client.send(&python(&format!("p{id}"))).unwrap();
    }
    let mut pythons = 0;
    while pythons < 10 {
        let answer = client.receive(seconds(60)).unwrap();
        expect(&answer, 200, "ok");
        pythons += usize::from(answer.context["id"].as_str().unwrap().starts_with('p'));
    }
    // Between two python jobs at most two ruby jobs ran, because the tracks take turns.
    let jobs = worker.jobs();
    let tracks: String =
        jobs.iter().map(|job| if job.track.as_str() == "ruby" { 'r' } else { 'p' }).collect();
    let from_first = &tracks[tracks.find('p').unwrap()..=tracks.rfind('p').unwrap()];
    assert!(!from_first.contains("rrr"), "{tracks}");
}

#[test]
fn missing_worker_is_503_at_once() {
    let router = Router::start(&config());
    let client = router.client();
    client.request(&ruby("warm"), seconds(5)).unwrap();
    let mut times: Vec<Duration> = (0..101)
        .map(|id| {
            let start = Instant::now();
            let answer = client.request(&ruby(&id.to_string()), seconds(5)).unwrap();
            expect(&answer, 503, "no_worker");
            start.elapsed()
        })
        .collect();
    times.sort();
    assert!(times[50] < Duration::from_millis(5), "median {:?}", times[50]);
}

#[test]
fn jobs_of_an_expected_track_wait() {
    let router = Router::start(&config().set(&["expected", "test_runners"], json!(["ruby"])));
    let client = router.client();
    client.send(&ruby("early")).unwrap();
    expect(&router.ask(&python("p")), 503, "no_worker");
    let _worker = AutomaticWorker::start(
        &router,
        hello("ruby-1", &["ruby"], 1, &[("ruby", &pinned('a'))]),
        Duration::ZERO,
    );
    expect(&client.receive(seconds(10)).unwrap(), 200, "ok");
}

#[test]
fn undeployed_version_is_505() {
    let router = Router::start(&config());
    let answer = router.ask(&test_solution("1", "ruby", URI, &version('9')));
    expect(&answer, 505, "not_deployed");
    assert!(answer.status.message.contains(&version('a')), "{}", answer.status.message);
}

#[test]
fn full_queue_drops_newest_job_of_longest_track() {
    let router = Router::start(&config().set(&["queue", "max_jobs"], json!(5)));
    let ready = [("ruby", pinned('a')), ("python", pinned('b'))];
    let ready: Vec<(&str, &str)> = ready.iter().map(|(track, version)| (*track, version.as_str())).collect();
    let mut worker = FakeWorker::join(&router, hello("any-1", &[], 1, &ready));
    let client = router.client();
    client.send(&ruby("running")).unwrap();
    let running = worker.job(seconds(5)).unwrap();
    for id in 0..5 {
        client.send(&ruby(&format!("r{id}"))).unwrap();
    }
    client.send(&python("p")).unwrap();
    let refused = client.receive(seconds(5)).unwrap();
    expect(&refused, 503, "queue_full");
    assert_eq!(refused.context["id"], "r4");
    worker.finish(&running);
    let next = worker.job(seconds(5)).unwrap();
    worker.finish(&next);
    assert_eq!(client.receive(seconds(5)).unwrap().context["id"], "running");
}

#[test]
fn queued_job_times_out_with_504() {
    let router = Router::start(&config().set(&["queue", "max_wait"], json!("1s")));
    let mut worker = FakeWorker::join(&router, hello("ruby-1", &["ruby"], 1, &[("ruby", &pinned('a'))]));
    let client = router.client();
    client.send(&ruby("running")).unwrap();
    worker.job(seconds(5)).unwrap();
    let start = Instant::now();
    client.send(&ruby("waits")).unwrap();
    let message = worker.wait_for(Duration::from_millis(1200), |_| None::<()>);
    assert!(message.is_none());
    expect(&client.receive(seconds(5)).unwrap(), 504, "queue_deadline");
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
}

#[test]
fn deadline_cancels_the_attempt() {
    let router = Router::start(&config());
    let mut worker = FakeWorker::join(&router, hello("ruby-1", &["ruby"], 1, &[("ruby", &pinned('a'))]));
    let client = router.client();
    client.send(&with(ruby("slow"), "deadline_ms", json!(2_500))).unwrap();
    let job = worker.job(seconds(5)).unwrap();
    let cancelled = worker.wait_for(seconds(5), |message| match message {
        FromRouter::Cancel(cancel) => Some(cancel.token),
        _ => None,
    });
    assert_eq!(cancelled, Some(job.token));
    expect(&client.receive(seconds(1)).unwrap(), 504, "deadline");
}

#[test]
fn late_result_never_answers_another_job() {
    let router = Router::start(&config());
    let mut worker = FakeWorker::join(&router, hello("ruby-1", &["ruby"], 2, &[("ruby", &pinned('a'))]));
    let client = router.client();
    client.send(&with(ruby("late"), "deadline_ms", json!(2_000))).unwrap();
    let late = worker.job(seconds(5)).unwrap();
    let gone = worker.wait_for(seconds(5), |message| matches!(message, FromRouter::Cancel(_)).then_some(()));
    assert!(gone.is_some());
    expect(&client.receive(seconds(1)).unwrap(), 504, "deadline");
    client.send(&ruby("next")).unwrap();
    let next = worker.job(seconds(5)).unwrap();
    worker.finish(&late);
    worker.finish(&next);
    let answer = client.receive(seconds(5)).unwrap();
    assert_eq!((&answer.context["id"], &answer.response["id"]), (&json!("next"), &json!("next")));
    assert!(client.receive(Duration::from_millis(300)).is_err(), "a second answer came");
}

#[test]
fn newest_hello_of_a_name_wins() {
    let router = Router::start(&config());
    let ready = [("ruby", &*pinned('a'))];
    let mut old = FakeWorker::join(&router, hello("ruby-1", &["ruby"], 1, &ready));
    let mut new = FakeWorker::join(&router, hello("ruby-1", &["ruby"], 1, &ready));
    let client = router.client();
    client.send(&ruby("1")).unwrap();
    let job = new.job(seconds(5)).expect("the job goes to the newest");
    assert!(old.job(Duration::from_millis(200)).is_none());
    new.finish(&job);
    expect(&client.receive(seconds(5)).unwrap(), 200, "ok");
}

#[test]
fn version_failed_on_every_worker_is_511() {
    let router = Router::start(&config());
    let mut worker = FakeWorker::join(&router, hello("ruby-1", &["ruby"], 1, &[]));
    let client = router.client();
    client.send(&ruby("1")).unwrap();
    assert!(worker.job(Duration::from_millis(300)).is_none(), "not ready, so no job");
    let failed = trackyard_protocol::worker::VersionFailed {
        version: trackyard_protocol::worker::TrackVersion {
            track: "ruby".parse().unwrap(),
            version: pinned('a').parse().unwrap(),
        },
        reason: "unpack_rejected".to_owned(),
        status_code: 511,
        message: "an entry leads out of the image".to_owned(),
        retrying: false,
    };
    worker.send(trackyard_protocol::worker::FromWorker::Failed(failed.into()));
    let answer = client.receive(seconds(5)).unwrap();
    expect(&answer, 511, "unpack_rejected");
    let text = format!("{} {}", answer.status.message, answer.context);
    assert!(text.contains("an entry leads out of the image"), "{text}");
}
