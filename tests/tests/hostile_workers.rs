//! A peer on the workers' port that sends arbitrary frames. The router keeps serving, and no answer is forged.
#![cfg(test)]

use std::time::Duration;

use e2e::config::Config;
use e2e::fake_worker::{AutomaticWorker, FakeWorker, hello};
use e2e::request::{expect, pinned, test_solution, version};
use e2e::router::Router;
use e2e::wait::seconds;
use serde_json::Value;
use trackyard_protocol::token::{Epoch, JobKey, Token};
use trackyard_protocol::worker::{Accepted, FromRouter, FromWorker, JobResult, Returned, Usage, Verdict};

fn config() -> Config {
    Config::layout("/nonexistent/images".as_ref()).deployed("test_runners", "ruby", &[&pinned('a')])
}

fn ruby(id: &str) -> Value {
    test_solution(id, "ruby", "file:///srv/submissions/1", &version('a'))
}

fn garbage() -> Vec<Vec<Vec<u8>>> {
    let frames = |parts: &[&[u8]]| parts.iter().map(|part| part.to_vec()).collect::<Vec<_>>();
    let deep = "[".repeat(100_000);
    vec![
        frames(&[b""]),
        frames(&[b"", b""]),
        frames(&[b"{}"]),
        frames(&[b"Hello"]),
        frames(&[b"Hello", b""]),
        frames(&[b"Hello", b"[]"]),
        frames(&[b"Hello", b"{\"name\": \"../../etc\"}"]),
        frames(&[b"Hello", deep.as_bytes()]),
        frames(&[b"Dance", b"{}"]),
        frames(&[b"\xff\xfe", b"{}"]),
        frames(&[b"Result", b"{}"]),
        frames(&[b"Result", b"{}", b"", b"", b"", b""]),
        frames(&[b"Result", b"not json", b"{", b"}"]),
        frames(&[b"Accepted", b"null"]),
        frames(&[b"Heartbeat", b"{\"busy\": -1}"]),
        frames(&[b"Goodbye", b"{}", b"{}"]),
        vec![vec![b'x'; 3 << 20]],
        vec![b"x".to_vec(); 2_000],
    ]
}

#[test]
fn garbage_on_the_workers_port_is_harmless() {
    let router = Router::start(&config());
    let _good = AutomaticWorker::start(
        &router,
        hello("ruby-1", &["ruby"], 1, &[("ruby", &pinned('a'))]),
        Duration::ZERO,
    );
    for (number, frames) in garbage().into_iter().enumerate() {
        // One peer that has not sent Hello, and one that has.
        FakeWorker::connect(&router, hello("stranger", &["ruby"], 1, &[])).send_raw(&frames);
        let known = FakeWorker::join(&router, hello("known", &["ruby"], 1, &[]));
        known.send_raw(&frames);
        expect(&router.ask(&ruby(&format!("after-{number}"))), 200, "ok");
    }
}

#[test]
fn forged_result_answers_nobody() {
    let router = Router::start(&config());
    let ready = [("ruby", &*pinned('a'))];
    let mut good = FakeWorker::join(&router, hello("ruby-1", &["ruby"], 1, &ready));
    let client = router.client();
    client.send(&ruby("1")).unwrap();
    let job = good.job(seconds(5)).unwrap();

    // A worker that never received the job guesses tokens, the true one among them.
    let liar = FakeWorker::join(&router, hello("liar", &["ruby"], 1, &[]));
    let guesses = [
        job.token,
        Token { epoch: job.token.epoch, sequence: job.token.sequence + 1 },
        Token { epoch: Epoch(0), sequence: job.token.sequence },
    ];
    for token in guesses {
        liar.send(FromWorker::Accepted(Accepted { token }));
        liar.send(FromWorker::Result(Box::new(JobResult {
            token,
            key: JobKey(7),
            verdict: Verdict { status_code: 200, reason: "ok".into(), message: String::new() },
            usage: Usage::default(),
            response: b"{\"forged\": true}".to_vec(),
            context: b"{}".to_vec(),
        })));
        liar.send(FromWorker::Returned(Returned { token, why: "draining".to_owned() }));
    }
    assert!(client.receive(Duration::from_millis(500)).is_err(), "a forged answer was delivered");
    good.finish(&job);
    let answer = client.receive(seconds(5)).unwrap();
    expect(&answer, 200, "ok");
    assert_eq!(
        (answer.response["by"].as_str(), answer.context["worker"].as_str()),
        (Some("ruby-1"), Some("ruby-1"))
    );
}

#[test]
fn invalid_json_result_is_an_error() {
    let router = Router::start(&config());
    let mut worker = FakeWorker::join(&router, hello("ruby-1", &["ruby"], 1, &[("ruby", &pinned('a'))]));
    let client = router.client();
    for (number, (response, context)) in
        [("{", "{}"), ("{}", "["), ("\u{0}", "{}"), ("{} {}", "{}"), ("{}", "{\"a\":1}{")].iter().enumerate()
    {
        client.send(&ruby(&format!("bad-{number}"))).unwrap();
        let job = worker.job(seconds(5)).unwrap();
        let mut result = worker.result(&job);
        result.response = response.as_bytes().to_vec();
        result.context = context.as_bytes().to_vec();
        worker.send(FromWorker::Result(Box::new(result)));
        let answer = client.receive(seconds(5)).expect("well-formed JSON");
        assert!(matches!(answer.status.status_code, 500 | 510), "{:?}", answer.status);
    }
}

#[test]
fn message_before_hello_requests_hello() {
    let router = Router::start(&config());
    let mut stranger = FakeWorker::connect(&router, hello("late", &["ruby"], 1, &[]));
    stranger.send(FromWorker::Accepted(Accepted { token: Token { epoch: Epoch(1), sequence: 1 } }));
    // `next` answers SayHello by itself; what follows is the Welcome to that Hello.
    let welcome =
        stranger.wait_for(seconds(5), |message| matches!(message, FromRouter::Welcome(_)).then_some(()));
    assert!(welcome.is_some());
}
