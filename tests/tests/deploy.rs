//! Versions are deployed and unloaded while jobs run.
#![cfg(test)]

use std::time::Instant;

use e2e::image::{File, Image, Layer};
use e2e::request::{expect, test_solution, version};
use e2e::router::Router;
use e2e::stage::Stage;
use e2e::wait::{seconds, wait_until};
use e2e::worker::WorkerOptions;
use serde_json::{Value, json};

const PASS: &str = "echo '{\"by\":\"NAME\"}' > /mnt/exercism-iteration/results.json";

fn script(name: &str) -> String {
    PASS.replace("NAME", name)
}

fn change(action: &str, track: &str, field: &str, value: &str) -> Value {
    json!({"action": action, "channel": "test_runners", "track_slug": track, field: value})
}

#[test]
fn deployed_version_serves_within_seconds() {
    let stage = Stage::new();
    stage.test_runner("ruby", 'a', &script("first"));
    stage.test_runner("ruby", 'b', &script("second"));
    let router = Router::start(&stage.config().deployed("test_runners", "ruby", &[&version('a')]));
    let _worker = WorkerOptions::new("any-1").start(&router);
    let uri = stage.submission("1", &[("a.rb", "")]);
    expect(&router.ask(&test_solution("1", "ruby", &uri, &version('a'))), 200, "ok");
    expect(&router.ask(&test_solution("2", "ruby", &uri, &version('b'))), 505, "not_deployed");

    let start = Instant::now();
    let client = router.client();
    let deployed = client
        .request(&change("deploy_container_version", "ruby", "new_version", &version('b')), seconds(20))
        .unwrap();
    expect(&deployed, 200, "ok");
    assert!(deployed.response.to_string().contains(&version('b')), "{}", deployed.response);
    for id in ["3", "4", "5"] {
        client.send(&test_solution(id, "ruby", &uri, &version('b'))).unwrap();
    }
    for _ in 0..3 {
        let answer = client.receive(seconds(20)).unwrap();
        expect(&answer, 200, "ok");
        assert_eq!(answer.response["by"], "second");
    }
    assert!(start.elapsed() < seconds(5), "{:?}", start.elapsed());
    let check = json!({"action": "deployment_check", "channel": "test_runners", "track_slug": "ruby"});
    assert_eq!(router.ask(&check).response["status"][version('b')], true);

    let unloaded = router.ask(&change("unload_container_version", "ruby", "version", &version('a')));
    expect(&unloaded, 200, "ok");
    expect(&router.ask(&test_solution("6", "ruby", &uri, &version('a'))), 505, "not_deployed");
    assert!(!router.config_now().to_string().contains(&version('a')));
}

#[test]
fn first_version_creates_its_track() {
    let stage = Stage::new();
    stage.test_runner("ruby", 'a', &script("ruby"));
    stage.test_runner("zig", 'b', &script("zig"));
    let router = Router::start(&stage.config().deployed("test_runners", "ruby", &[&version('a')]));
    let _worker = WorkerOptions::new("any-1").start(&router);
    let uri = stage.submission("1", &[("a.zig", "")]);
    expect(&router.ask(&change("deploy_container_version", "zig", "new_version", &version('b'))), 200, "ok");
    expect(&router.ask(&test_solution("1", "zig", &uri, &version('b'))), 200, "ok");
}

#[test]
fn version_without_image_is_not_deployed() {
    let stage = Stage::new();
    stage.test_runner("ruby", 'a', &script("ruby"));
    let router = Router::start(&stage.config().deployed("test_runners", "ruby", &[&version('a')]));
    let before = router.config_now();
    let answer = router.ask(&change("deploy_container_version", "ruby", "new_version", &version('9')));
    assert!(!answer.status.ok, "{:?}", answer.status);
    assert_eq!(router.config_now(), before);
}

#[test]
fn deployed_available_and_connected_are_listed() {
    let stage = Stage::new();
    stage.test_runner("ruby", 'a', &script("a"));
    stage.test_runner("ruby", 'b', &script("b"));
    let router = Router::start(&stage.config().deployed("test_runners", "ruby", &[&version('a')]));
    let _worker = WorkerOptions::new("ruby-1").topic("ruby").start(&router);
    let config = router.ask(&json!({"action": "current_config"}));
    assert!(
        config.response["container_versions"]["test_runners"]["ruby"].to_string().contains(&version('a'))
    );
    let list =
        json!({"action": "list_available_containers", "channel": "test_runners", "track_slug": "ruby"});
    let listed = router.ask(&list).response["list_images"].to_string();
    assert!(listed.contains(&version('a')) && listed.contains(&version('b')), "{listed}");
    let workers = router.ask(&json!({"action": "describe_workers"})).response["workers_info"].to_string();
    assert!(workers.contains("ruby-1"), "{workers}");
    let status = router.ask(&json!({"action": "current_worker_status"})).response;
    let channel = &status["workers_status"]["test_runners"];
    for field in ["present_workers", "online_workers", "deployed_versions"] {
        assert!(!channel[field].is_null(), "{field} in {status:#}");
    }
    let page = router.status().to_string();
    assert!(page.contains("ruby-1") && page.contains(&version('a')), "{page}");
}

#[test]
fn worker_prepares_only_its_topics() {
    let stage = Stage::new();
    stage.test_runner("ruby", 'a', &script("ruby"));
    stage.test_runner("csharp", 'b', &script("csharp"));
    let config = stage.config().deployed("test_runners", "ruby", &[&version('a')]).deployed(
        "test_runners",
        "csharp",
        &[&version('b')],
    );
    let router = Router::start(&config);
    let _worker = WorkerOptions::new("ruby-1").topic("ruby").start(&router);
    let uri = stage.submission("1", &[("a", "")]);
    expect(&router.ask(&test_solution("1", "ruby", &uri, &version('a'))), 200, "ok");
    expect(&router.ask(&test_solution("2", "csharp", &uri, &version('b'))), 503, "no_worker");
}

#[test]
fn each_channel_has_its_own_entry_and_result() {
    let stage = Stage::new();
    let analyze = "#!/bin/sh\n[ $# = 2 ] && echo \"{\\\"exercise\\\": \\\"$1\\\"}\" > $2/analysis.json\n";
    let files: &[File<'_>] = &[("opt/analyzer/bin/analyze.sh", 0o755, analyze.as_bytes())];
    stage.images().add("ruby-analyzer", &version('a'), &Image::bare().layer(Layer::of(files)));
    let represent =
        "[ $# = 3 ] && echo normal > $3/representation.txt && echo '{\"a\":\"b\"}' > $3/mapping.json";
    stage.images().add("ruby-representer", &version('a'), &Image::tooling("representers", represent));
    let config = stage.config().deployed("static_analyzers", "ruby", &[&version('a')]).deployed(
        "representers",
        "ruby",
        &[&version('a')],
    );
    let router = Router::start(&config);
    let _analyzer = WorkerOptions::new("analyzer-1").channel("static_analyzers").start(&router);
    let _representer = WorkerOptions::new("representer-1").channel("representers").start(&router);
    let uri = stage.submission("1", &[("a.rb", "")]);
    let ask = |action: &str| {
        let mut request = test_solution("1", "ruby", &uri, &version('a'));
        request["action"] = json!(action);
        router.ask(&request)
    };
    let analysis = ask("analyze_iteration");
    expect(&analysis, 200, "ok");
    assert_eq!(analysis.response["exercise"], "two-fer");
    let representation = ask("represent");
    expect(&representation, 200, "ok");
    assert_eq!(representation.response.as_str().map(str::trim), Some("normal"));
    assert!(
        representation.context["outputs"].to_string().contains("mapping"),
        "{:#}",
        representation.context
    );
    expect(&ask("test_solution"), 502, "unknown_track");
}

#[test]
fn unused_layers_are_collected_and_shared_ones_stay() {
    let stage = Stage::new();
    stage.test_runner("ruby", 'a', &script("a"));
    stage.test_runner("ruby", 'b', &script("b"));
    let router =
        Router::start(&stage.config().deployed("test_runners", "ruby", &[&version('a'), &version('b')]));
    let worker = WorkerOptions::new("any-1").start(&router);
    let layers = worker.dir().join("layers");
    let count = || std::fs::read_dir(&layers).map_or(0, Iterator::count);
    assert_eq!(count(), 3, "busybox once, and a script each");
    expect(&router.ask(&change("unload_container_version", "ruby", "version", &version('a'))), 200, "ok");
    wait_until(seconds(20), "the layer of the unloaded version is gone", || count() == 2);
    let uri = stage.submission("1", &[("a", "")]);
    expect(&router.ask(&test_solution("1", "ruby", &uri, &version('b'))), 200, "ok");
}
