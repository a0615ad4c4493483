//! Submissions in buckets: a real S3 server, and a hostile one that lists arbitrary keys.
#![cfg(test)]

use e2e::config::Config;
use e2e::request::{expect, test_solution, version, with};
use e2e::router::Router;
use e2e::s3::{CREDENTIALS, HostileBucket, HostileS3, S3};
use e2e::stage::Stage;
use e2e::wait::seconds;
use e2e::worker::{Worker, WorkerOptions};
use rstest::rstest;
use serde_json::{Value, json};
use trackyard_protocol::answer::Answer;

const BUCKET: &str = "submissions";
/// Lists and counts the submission's files.
const LIST_FILES: &str = "cd /mnt/exercism-iteration; find . -type f | sort > /tmp/l; head -5 /tmp/l; wc -l < /tmp/l; \
                    cat key/deep 2>/dev/null; echo \"{\\\"files\\\": $(wc -l < /tmp/l)}\" > results.json";

/// A router and a worker that reads from an endpoint. Fields are dropped in order, so the worker ends first.
struct Rig {
    _worker: Worker,
    router: Router,
    _stage: Stage,
}

impl Rig {
    fn start(endpoint: &str, limits: Value) -> Self {
        let stage = Stage::new();
        stage.test_runner("ruby", 'a', LIST_FILES);
        let config: Config = stage
            .config()
            .bucket(BUCKET, endpoint)
            .deployed("test_runners", "ruby", &[&version('a')])
            .limits("test_runners", "ruby", limits);
        let router = Router::start(&config);
        let worker = WorkerOptions::new("any-1").environment(&CREDENTIALS).start(&router);
        Self { _worker: worker, router, _stage: stage }
    }

    fn run(&self, uri: &str) -> Answer {
        self.router.ask(&test_solution(&uri.replace('/', "_"), "ruby", uri, &version('a')))
    }
}

#[test]
fn job_runs_end_to_end_over_s3() {
    let s3 = S3::start(BUCKET);
    s3.put(BUCKET, "prod/12/two_fer.rb", b"puts 1");
    s3.put(BUCKET, "prod/12/key/deep", b"deep content\n");
    let rig = Rig::start(&s3.endpoint(), json!({}));
    for uri in ["s3://submissions/prod/12", "s3://submissions/prod/12/"] {
        let answer = rig.run(uri);
        expect(&answer, 200, "ok");
        assert_eq!(answer.response["files"], 2);
        let listed = answer.context["invocation"]["stdout"].as_str().unwrap();
        assert!(listed.contains("./two_fer.rb") && listed.contains("deep content"), "{listed}");
    }
}

#[test]
fn prefix_does_not_fetch_longer_neighbour() {
    let s3 = S3::start(BUCKET);
    s3.put(BUCKET, "prod/12/own", b"own");
    s3.put(BUCKET, "prod/123/other", b"other");
    s3.put(BUCKET, "prod/12-b/other", b"other");
    let rig = Rig::start(&s3.endpoint(), json!({}));
    let answer = rig.run("s3://submissions/prod/12");
    assert_eq!(answer.response["files"], 1, "{:?}", answer.context["invocation"]);
}

#[test]
fn objects_of_all_pages_are_fetched() {
    let s3 = S3::start(BUCKET);
    for number in 0..1500 {
        s3.put(BUCKET, &format!("big/f{number:04}"), b"x");
    }
    let rig = Rig::start(&s3.endpoint(), json!({"input_files": 2000}));
    let answer = rig.run("s3://submissions/big");
    expect(&answer, 200, "ok");
    assert_eq!(answer.response["files"], 1500);
}

#[test]
fn too_many_or_large_objects_are_refused() {
    let s3 = S3::start(BUCKET);
    for number in 0..501 {
        s3.put(BUCKET, &format!("big/f{number:04}"), b"x");
    }
    s3.put(BUCKET, "large/one", &vec![b'x'; (10 << 20) + 1]);
    let rig = Rig::start(&s3.endpoint(), json!({}));
    expect(&rig.run("s3://submissions/big"), 400, "input_count");
    expect(&rig.run("s3://submissions/large"), 400, "input_size");
}

#[test]
fn foreign_bucket_and_empty_prefix_are_refused() {
    let s3 = S3::start(BUCKET);
    let rig = Rig::start(&s3.endpoint(), json!({}));
    expect(&rig.run("s3://other-bucket/a"), 400, "bad_uri");
    let answer = rig.run("s3://submissions/nothing-here");
    assert!(matches!(answer.status.status_code, 400 | 512), "{:?}", answer.status);
}

#[rstest]
#[case::parent(&["p/../../escaped"])]
#[case::absolute(&["p//etc/escaped"])]
#[case::empty_component(&["p/a//b"])]
#[case::dot(&["p/./a"])]
#[case::backslash(&["p/a\\b"])]
#[case::line_break(&["p/a\nb"])]
#[case::file_and_dir(&["p/a", "p/a/b"])]
#[case::foreign_prefix(&["q/a"])]
fn keys_must_be_plain_paths(#[case] keys: &[&str]) {
    let bucket = keys.iter().fold(HostileBucket::default(), |bucket, key| bucket.key(key, 3));
    let server = HostileS3::start(bucket);
    let rig = Rig::start(&server.endpoint(), json!({}));
    let answer = rig.run("s3://submissions/p");
    assert_eq!(answer.status.status_code, 400, "{:?}\n{:#}", answer.status, answer.context);
}

#[test]
fn overlong_file_name_is_refused() {
    let server = HostileS3::start(HostileBucket::default().key(&format!("p/{}", "a".repeat(256)), 3));
    let rig = Rig::start(&server.endpoint(), json!({}));
    expect(&rig.run("s3://submissions/p"), 400, "unsafe_key");
}

#[test]
fn listed_size_over_limit_fetches_nothing() {
    let server = HostileS3::start(HostileBucket::default().key("p/a", 3).key("p/b", 64 << 20));
    let rig = Rig::start(&server.endpoint(), json!({}));
    expect(&rig.run("s3://submissions/p"), 400, "input_size");
    assert_eq!(server.fetched(), 0);
}

#[test]
fn stalled_bucket_is_512() {
    let server = HostileS3::start(HostileBucket::default().key("p/a", 3).stalling());
    let rig = Rig::start(&server.endpoint(), json!({}));
    let client = rig.router.client();
    let request = test_solution("stalls", "ruby", "s3://submissions/p", &version('a'));
    let answer = client.request(&with(request, "deadline_ms", json!(60_000)), seconds(60)).unwrap();
    expect(&answer, 512, "download");
}

#[test]
fn trickling_bucket_is_512_at_setup_deadline() {
    let server = HostileS3::start(HostileBucket::default().key("p/a", 100_000).trickling());
    let rig = Rig::start(&server.endpoint(), json!({}));
    let client = rig.router.client();
    let request = test_solution("trickles", "ruby", "s3://submissions/p", &version('a'));
    let answer = client.request(&with(request, "deadline_ms", json!(60_000)), seconds(60)).unwrap();
    expect(&answer, 512, "download");
}
