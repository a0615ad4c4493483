//! Images that are corrupt, truncated, forged or hostile: they never become ready, and the answer says why.
#![cfg(test)]

use std::fs;

use e2e::image::{File, Image, Layer, digest};
use e2e::request::{expect, test_solution, version};
use e2e::router::Router;
use e2e::stage::Stage;
use e2e::wait::{seconds, wait_until};
use e2e::worker::WorkerOptions;
use rstest::rstest;
use serde_json::{Value, json};

const PASS: &str = "echo '{}' > /mnt/exercism-iteration/results.json";
const REPOSITORY: &str = "ruby-test-runner";

/// Adds `image` beside a good version, damages it, and runs a worker on both. Returns the code, reason and message of a
/// job with the damaged version.
fn refuse_damaged(image: &Image, damage: impl FnOnce(&Stage, &str)) -> (u16, String, String) {
    let stage = Stage::new();
    stage.test_runner("ruby", 'a', PASS);
    let manifest = stage.images().add(REPOSITORY, &version('b'), image);
    // The router resolves tags; only the worker can find damage below the manifest.
    let config = stage.config().deployed("test_runners", "ruby", &[&version('a')]);
    let config =
        config.deployed("test_runners", "ruby", &[&version('a'), &format!("{}@{manifest}", version('b'))]);
    damage(&stage, &manifest);
    let router = Router::start(&config);
    let worker = WorkerOptions::new("any-1").start(&router);
    let uri = stage.submission("1", &[("a.rb", "")]);
    let bad = router.ask(&test_solution("bad", "ruby", &uri, &version('b')));
    expect(&router.ask(&test_solution("good", "ruby", &uri, &version('a'))), 200, "ok");
    let check = json!({"action": "deployment_check", "channel": "test_runners", "track_slug": "ruby"});
    assert_ne!(
        router.ask(&check).response["status"][version('b')],
        true,
        "a damaged image is reported as ready"
    );
    assert!(!outside(&worker.dir().join("..")), "an entry was written outside of the store");
    let message = format!("{} {}", bad.status.message, bad.context["error_detail"]);
    (bad.status.status_code, bad.status.reason.unwrap_or_default(), message)
}

fn outside(dir: &std::path::Path) -> bool {
    ["escaped", "../escaped", "work/escaped"].iter().any(|name| dir.join(name).exists())
        || std::path::Path::new("/tmp/trackyard-escaped").exists()
}

fn runner() -> Image {
    Image::tooling("test_runners", &format!("{PASS} # damaged"))
}

fn last_layer(image: &Image) -> String {
    digest(&image.layers().last().unwrap().blob)
}

#[test]
fn corrupt_layer_never_becomes_ready() {
    let image = runner();
    let name = last_layer(&image);
    let (code, reason, message) = refuse_damaged(&image, |stage, _| {
        let file = stage.images().blob(REPOSITORY, &name);
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        fs::write(file, bytes).unwrap();
    });
    assert_eq!((code, !message.is_empty()), (511, true), "{reason}: {message}");
}

#[test]
fn truncated_layer_never_becomes_ready() {
    let image = runner();
    let name = last_layer(&image);
    let (code, reason, message) = refuse_damaged(&image, |stage, _| {
        let file = stage.images().blob(REPOSITORY, &name);
        let bytes = fs::read(&file).unwrap();
        fs::write(file, &bytes[..bytes.len() - 10]).unwrap();
    });
    assert_eq!(code, 511, "{reason}: {message}");
}

#[test]
fn missing_layer_never_becomes_ready() {
    let image = runner();
    let name = last_layer(&image);
    let (code, reason, message) =
        refuse_damaged(&image, |stage, _| fs::remove_file(stage.images().blob(REPOSITORY, &name)).unwrap());
    assert_eq!((code, reason.as_str()), (511, "pull_failed"), "{message}");
}

#[test]
fn forged_manifest_never_becomes_ready() {
    let (code, reason, message) = refuse_damaged(&runner(), |stage, manifest| {
        let file = stage.images().blob(REPOSITORY, manifest);
        let mut value: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        value["annotations"] = json!({"forged": "true"});
        fs::write(file, value.to_string()).unwrap();
    });
    assert_eq!(code, 511, "{reason}: {message}");
}

#[test]
fn forged_layer_never_becomes_ready() {
    let honest = runner();
    let top = honest.layers().last().unwrap();
    let forged = std::sync::Arc::new(Layer { blob: top.blob.clone(), diff_id: digest(b"something else") });
    let image = Image::bare().layer(forged);
    let (code, reason, message) = refuse_damaged(&image, |_, _| {});
    assert_eq!(code, 511, "{reason}: {message}");
}

#[test]
fn image_without_entry_is_refused() {
    let (code, reason, message) = refuse_damaged(&Image::bare(), |_, _| {});
    assert_eq!((code, reason.as_str()), (511, "no_entry"), "{message}");
}

#[rstest]
#[case::parent("../escaped")]
#[case::absolute("/tmp/trackyard-escaped")]
#[case::deep_parent("opt/../../escaped")]
fn path_out_of_the_image_writes_nothing_outside(#[case] path: &str) {
    let image = runner().layer(Layer::raw(&[(path, 0o644, b"out")]));
    let (code, reason, message) = refuse_or_contain(&image);
    assert!(code == 200 || (code, reason.as_str()) == (511, "unpack_rejected"), "{code} {reason}: {message}");
}

#[test]
fn symlink_in_a_layer_is_not_followed() {
    let files: &[File<'_>] = &[("way/escaped", 0o644, b"out")];
    let image = runner().layer(Layer::link("way", "../../../../../../../../tmp")).layer(Layer::of(files));
    let (code, reason, message) = refuse_or_contain(&image);
    assert!(code == 200 || code == 511, "{code} {reason}: {message}");
    assert!(!std::path::Path::new("/tmp/escaped").exists());
}

/// Runs a job with an image that must be refused, or become ready without writing outside of the store.
fn refuse_or_contain(image: &Image) -> (u16, String, String) {
    let stage = Stage::new();
    stage.images().add(REPOSITORY, &version('b'), image);
    let router = Router::start(&stage.config().deployed("test_runners", "ruby", &[&version('b')]));
    let worker = WorkerOptions::new("any-1").start(&router);
    let uri = stage.submission("1", &[("a.rb", "")]);
    let answer = router.ask(&test_solution("1", "ruby", &uri, &version('b')));
    assert!(!outside(&worker.dir().join("..")), "an entry was written outside of the store");
    (answer.status.status_code, answer.status.reason.unwrap_or_default(), answer.status.message)
}

#[test]
fn half_unpacked_image_never_becomes_ready() {
    let stage = Stage::new();
    let noise: Vec<u8> = (0..24_u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let files: &[File<'_>] = &[("big", 0o644, &noise), ("last", 0o644, b"whole")];
    let script = "cat /last && echo '{}' > /mnt/exercism-iteration/results.json";
    let image = Image::tooling("test_runners", script).layer(Layer::of(files));
    stage.images().add(REPOSITORY, &version('a'), &image);
    let router = Router::start(&stage.config().deployed("test_runners", "ruby", &[&version('a')]));
    let dir = stage.path("work");
    let mut worker = WorkerOptions::new("any-1").dir(&dir).launch(&router);
    wait_until(seconds(20), "unpacking begins", || {
        assert!(worker.process().is_running(), "{}", worker.process().log());
        fs::read_dir(dir.join("layers")).is_ok_and(|mut entries| entries.next().is_some())
    });
    worker.process().kill();
    let _again = WorkerOptions::new("any-1").dir(&dir).start(&router);
    let uri = stage.submission("1", &[("a.rb", "")]);
    let answer = router.ask(&test_solution("1", "ruby", &uri, &version('a')));
    expect(&answer, 200, "ok");
    assert_eq!(answer.context["invocation"]["stdout"], "whole");
}
