//! Keys with the real programs: the command line creates them, and router, worker and clients use them without leaking
//! the secret ones.
#![cfg(test)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use e2e::binaries::binary;
use e2e::ports::free_port;
use e2e::request::version;
use e2e::router::Router;
use e2e::stage::Stage;
use e2e::wait::{seconds, wait_until};
use e2e::worker::WorkerOptions;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

const PASS: &str =
    "echo '{\"version\":2,\"status\":\"pass\",\"tests\":[]}' > /mnt/exercism-iteration/results.json";

/// A directory of keys that the command line created.
struct Keys(TempDir);

impl Keys {
    fn new(names: &[&str]) -> Self {
        let keys = Self(TempDir::new().expect("a directory"));
        for name in names {
            let made = trackyard(&["keys", "new", &keys.file(name)]);
            assert!(made.status.success(), "{made:?}");
            assert_eq!(String::from_utf8_lossy(&made.stdout).trim(), keys.public(name));
        }
        keys
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn public(&self, name: &str) -> String {
        let text = fs::read_to_string(self.path(&format!("{name}.pub"))).expect("a public key");
        text.trim().to_owned()
    }

    fn secret(&self, name: &str) -> String {
        let text = fs::read_to_string(self.path(name)).expect("a key");
        text.lines().nth(1).expect("two lines").to_owned()
    }

    /// Writes the list of allowed keys. Returns its path.
    fn allow(&self, rights: &[(&str, &str)]) -> String {
        let line = |&(right, name): &(&str, &str)| format!("{right} {} {name}\n", self.public(name));
        fs::write(self.path("allowed"), rights.iter().map(line).collect::<String>()).expect("write the list");
        self.file("allowed")
    }
}

fn trackyard(args: &[&str]) -> Output {
    Command::new(binary("trackyard")).args(args).output().expect("run the command line")
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn expect_failure(output: &Output, code: i32, expected: &str) {
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(expected), "{text}");
}

/// Starts a router with a key and two deployed versions.
fn start_router(stage: &Stage, keys: &Keys, keyed: &str) -> Router {
    let list = keys.allow(&[("work", "worker"), ("submit", "website"), ("administer", "admin")]);
    let config = stage.config().deployed("test_runners", "ruby", &[&version('a'), &version('b')]);
    let key = keys.file("router");
    let flags = ["--key", key.as_str(), "--allowed", list.as_str(), "--keyed-clients", keyed];
    let mut router = Router::launch(&config.yaml(), &[flags.as_slice(), &["--log", "trace"]].concat());
    router.wait_ready();
    router
}

#[test]
fn keys_grant_rights_and_secret_keys_stay_secret() {
    let keys = Keys::new(&["router", "worker", "website", "admin", "stranger"]);
    let key = keys.file("worker");
    let pin = keys.file("router.pub");
    let worker_flags = ["--curve-key", key.as_str(), "--router-key", pin.as_str()];
    let stage = Stage::new();
    stage.test_runner("ruby", 'a', PASS);
    stage.test_runner("ruby", 'b', PASS);
    let keyed = format!("tcp://127.0.0.1:{}", free_port());
    let mut router = start_router(&stage, &keys, &keyed);
    let mut worker = WorkerOptions::new("any-1")
        .flags(&worker_flags)
        .environment(&[("TRACKYARD_LOG", "trace")])
        .start(&router);
    let submission = stage.submission("1", &[("a.rb", "")]).replace("file://", "");

    let with = |own: &str, args: &[&str]| {
        let own = keys.file(own);
        let router = keys.file("router.pub");
        let connection = ["--router", &keyed, "--key", &own, "--router-key", &router];
        trackyard(&[args, connection.as_slice()].concat())
    };
    let submit =
        ["submit", &submission, "--track", "ruby", "--exercise", "two-fer", "--version", &version('a')];
    let unload = ["unload", &version('b'), "--track", "ruby"];
    let done = with("website", &submit);
    assert_eq!(code(&done), Some(0), "{done:?}");
    expect_failure(&with("website", &unload), 3, "forbidden");
    let done = with("admin", &unload);
    assert_eq!(code(&done), Some(0), "{done:?}");
    expect_failure(&with("stranger", &["status"]), 4, "does it allow yours");
    let half = trackyard(&["status", "--router", &keyed, "--key", &keys.file("admin")]);
    expect_failure(&half, 2, "--router-key");
    expect_failure(&with("admin.pub", &["status"]), 2, "a public and a secret key");

    keys.allow(&[("submit", "website")]);
    wait_until(seconds(20), "the revoked worker is forgotten", || {
        router.status().pointer("/dispatch/workers").and_then(Value::as_array).is_some_and(Vec::is_empty)
    });
    expect_failure(&with("website", &submit), 3, "no_worker");

    worker.process().signal(Signal::KILL);
    let outputs =
        [router.process().log(), worker.process().log(), router.metrics(), router.status().to_string()];
    for name in ["router", "worker", "website", "admin"] {
        assert!(
            outputs.iter().all(|output| !output.contains(&keys.secret(name))),
            "the secret key of {name} was leaked"
        );
    }
    let again = trackyard(&["keys", "new", &keys.file("admin")]);
    expect_failure(&again, 2, "cannot write");
}

#[test]
fn worker_trusts_only_the_pinned_router_key() {
    let keys = Keys::new(&["router", "worker", "website", "admin"]);
    let stage = Stage::new();
    let router = start_router(&stage, &keys, &format!("tcp://127.0.0.1:{}", free_port()));
    let own = keys.file("worker");
    let pin = keys.file("admin.pub");
    let flags = ["--curve-key", own.as_str(), "--router-key", pin.as_str()];
    let mut misled = WorkerOptions::new("any-1").flags(&flags).launch(&router);
    wait_until(seconds(20), "the worker refuses the router", || {
        assert!(misled.process().is_running(), "{}", misled.process().log());
        misled.process().log().contains("--router-key names another")
    });
}
