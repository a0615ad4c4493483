//! The router's configuration file: manual edits, changes by clients, and kills during a save.
#![cfg(test)]

use std::fs;
use std::time::Duration;

use e2e::http;
use e2e::request::{expect, test_solution, version};
use e2e::router::Router;
use e2e::stage::Stage;
use e2e::wait::{seconds, wait_until};
use serde_json::{Value, json};

const PASS: &str = "exit 0";

fn stage() -> Stage {
    let stage = Stage::new();
    for digit in ['a', 'b', 'c', 'd'] {
        stage.test_runner("ruby", digit, PASS);
    }
    stage
}

fn deploy(digit: char) -> Value {
    json!({"action": "deploy_container_version", "channel": "test_runners", "track_slug": "ruby",
           "new_version": version(digit)})
}

fn deployed(router: &Router) -> String {
    let answer = router.ask(&json!({"action": "current_config"}));
    answer.response["container_versions"]["test_runners"]["ruby"].to_string()
}

#[test]
fn manual_edit_is_applied() {
    let stage = stage();
    let router = Router::start(&stage.config().deployed("test_runners", "ruby", &[&version('a')]));
    let edited = stage.config().deployed("test_runners", "ruby", &[&version('a'), &version('b')]);
    fs::write(router.config_file(), edited.yaml()).unwrap();
    wait_until(seconds(10), "the edit is taken over", || deployed(&router).contains(&version('b')));
    // The version is resolved once and written back with its digest.
    wait_until(seconds(10), "the digest is written back", || {
        fs::read_to_string(router.config_file()).unwrap().contains(&format!("{}@sha256:", version('b')))
    });
}

#[test]
fn broken_manual_edit_is_refused_with_its_line() {
    let stage = stage();
    let mut router = Router::start(&stage.config().deployed("test_runners", "ruby", &[&version('a')]));
    let broken = "images: {kind: layout, location: /tmp}\ncontainer_versions: {test_runners: [\n";
    fs::write(router.config_file(), broken).unwrap();
    wait_until(seconds(10), "the log names the place", || router.process().log().contains("line"));
    assert!(deployed(&router).contains(&version('a')));
    // A change by a client reads the file first; a broken one refuses the change and stays as it is.
    let answer = router.ask(&deploy('b'));
    assert!(!answer.status.ok, "{:?}", answer.status);
    assert_eq!(fs::read_to_string(router.config_file()).unwrap(), broken);
    // The fixed file is applied.
    let fixed = stage.config().deployed("test_runners", "ruby", &[&version('a'), &version('c')]);
    fs::write(router.config_file(), fixed.yaml()).unwrap();
    wait_until(seconds(10), "the fixed file is taken over", || deployed(&router).contains(&version('c')));
    expect(&router.ask(&deploy('b')), 200, "ok");
}

#[test]
fn client_change_keeps_a_fresh_manual_edit() {
    let stage = stage();
    let router = Router::start(&stage.config().deployed("test_runners", "ruby", &[&version('a')]));
    let edited = stage.config().deployed("test_runners", "ruby", &[&version('a'), &version('b')]);
    fs::write(router.config_file(), edited.yaml()).unwrap();
    expect(&router.ask(&deploy('c')), 200, "ok");
    let text = router.config_now().to_string();
    for digit in ['a', 'b', 'c'] {
        assert!(text.contains(&version(digit)), "{digit} in {text}");
    }
}

#[test]
fn kill_during_a_save_keeps_the_file_whole() {
    let stage = stage();
    let mut router = Router::start(&stage.config().deployed("test_runners", "ruby", &[&version('a')]));
    for round in 0..8_u64 {
        let client = router.client();
        for _ in 0..30 {
            for digit in ['b', 'c'] {
                client.send(&deploy(digit)).unwrap();
                let mut unload = deploy(digit);
                unload["action"] = json!("unload_container_version");
                unload["version"] = unload["new_version"].clone();
                client.send(&unload).unwrap();
            }
        }
        // Saves follow each other; each round kills the router at another moment of a save.
        client.receive(seconds(10)).unwrap();
        std::thread::sleep(Duration::from_micros(700 * round));
        router.kill();
        let whole = router.config_now().to_string();
        assert!(whole.contains(&version('a')), "{whole}");
        router.restart(&[]);
        router.wait_ready();
    }
    let dir = router.config_file().parent().unwrap().to_owned();
    let names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    expect(&router.ask(&deploy('d')), 200, "ok");
    assert!(names.len() < 6, "temporary files pile up: {names:?}");
}

#[test]
fn legacy_configuration_works() {
    let original = format!(
        "workers:\n  test_runners:\n    shared_queue: 10000\n    ruby:\n      queue: 10001\n      worker_versions:\n        - {}\n",
        version('a')
    );
    let mut router = Router::launch(&original, &[]);
    router.wait_ready();
    assert!(deployed(&router).contains(&version('a')));
    let log = router.process().log();
    assert!(log.contains("queue") || log.contains("port"), "no note on ignored ports:\n{log}");
}

#[test]
fn missing_file_is_created_from_seed() {
    let stage = stage();
    let seed = stage.path("seed.yml");
    fs::write(&seed, stage.config().deployed("test_runners", "ruby", &[&version('a')]).yaml()).unwrap();
    let mut router = Router::launch("", &["--seed", seed.to_str().unwrap()]);
    router.kill();
    fs::remove_file(router.config_file()).unwrap();
    router.restart(&["--seed", seed.to_str().unwrap()]);
    router.wait_ready();
    assert!(deployed(&router).contains(&version('a')));
    assert!(router.config_now().to_string().contains(&version('a')));
}

#[test]
fn broken_file_at_start_is_refused_with_line_and_column() {
    let mut router = Router::launch("images:\n  kind: [layout\n", &[]);
    assert!(!router.process().wait_for_exit(seconds(10)).success());
    let log = router.process().log();
    assert!(log.contains("line") && log.contains("column"), "{log}");
}

#[test]
fn readiness_and_metrics_are_served() {
    let stage = stage();
    let mut router = Router::launch(&stage.config().yaml(), &[]);
    let early =
        e2e::wait::wait_for(seconds(10), "the admin port answers", || http::get(router.admin(), "/readyz"));
    assert!(early.status == 200 || early.body.contains("recover"), "{early:?}");
    router.wait_ready();
    assert_eq!(http::get(router.admin(), "/livez").unwrap().status, 200);
    let _ = router.ask(&test_solution("1", "ruby", "file:///x/y", &version('9')));
    assert!(router.metrics().contains("trackyard_"), "{}", router.metrics());
}
