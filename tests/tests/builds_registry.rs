//! Releases builds to a real registry with a password, and searches for leaked secrets.
#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::config::Config;
use e2e::ecr_stub::{EcrStub, LOCATION};
use e2e::http;
use e2e::leftovers;
use e2e::registry::{FaultyRegistry, PASSWORD, Registry, RegistryFault, USER};
use e2e::request::{expect, test_solution};
use e2e::router::Router;
use e2e::stage::Stage;
use e2e::tooling::{SHELL, ToolingRepository, build, builder, config};
use e2e::wait::{seconds, wait_until};
use e2e::worker::{Worker, WorkerOptions};
use serde_json::{Value, json};
use trackyard_protocol::answer::Answer;

const TRACK: &str = "shell";
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
const GIT_SECRET: &str = "planted-git-secret";

struct Rig {
    worker: Worker,
    router: Router,
    tooling: ToolingRepository,
    stage: Stage,
    credentials: PathBuf,
}

impl Rig {
    /// Starts a builder that releases to `location`.
    fn new(location: &str) -> Self {
        let stage = Stage::new();
        let tooling = ToolingRepository::new(&stage, TRACK);
        let credentials = docker_config(&stage, location);
        let git = stage.path("git-credentials");
        fs::write(&git, format!("https://someone:{GIT_SECRET}@example.org\n")).unwrap();
        let images = json!({"kind": "registry", "location": location});
        let config = set_images(config(&stage), images).yaml();
        let mut router = Router::launch(&config, &["--docker-config", path(&credentials)]);
        router.wait_ready();
        let flags = ["--docker-config", path(&credentials), "--git-credentials", path(&git)];
        let worker = builder("builder-1", "buildkit").flags(&flags).start(&router);
        Self { worker, router, tooling, stage, credentials }
    }

    fn build(&self, reference: &str) -> Answer {
        self.router.client().request(&build(TRACK, reference), ANSWER_TIMEOUT).unwrap()
    }
}

fn set_images(config: Config, images: Value) -> Config {
    config.set(&["images"], images)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Writes a Docker configuration into a directory of its own, as the drivers require.
fn docker_config(stage: &Stage, location: &str) -> PathBuf {
    let dir = stage.path("docker");
    fs::create_dir_all(&dir).unwrap();
    let file = dir.join("config.json");
    let text = json!({"auths": {location: {"username": USER, "password": PASSWORD}}});
    fs::write(&file, text.to_string()).unwrap();
    file
}

/// Returns the command lines and environments of all other processes.
fn all_processes() -> String {
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let others = entries.filter(|entry| entry.file_name().to_string_lossy() != own.as_str());
    let read = |path: PathBuf| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    others.map(|entry| read(entry.path().join("cmdline")) + &read(entry.path().join("environ"))).collect()
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let each = entries.flat_map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => files_below(&entry.path()),
        Ok(kind) if kind.is_file() => vec![entry.path()],
        _ => Vec::new(),
    });
    each.collect()
}

#[test]
fn build_is_released_without_leaking_secrets() {
    let registry = Registry::start(true);
    let mut rig = Rig::new(&registry.location());
    rig.tooling.write("Dockerfile", &format!("{SHELL}RUN env && cat /proc/*/environ; sleep 2\n"));
    let sha = rig.tooling.commit_all();
    let client = rig.router.client();
    client.send(&build(TRACK, &sha)).unwrap();
    let mut seen = String::new();
    let mut answer = None;
    while answer.is_none() {
        seen += &all_processes();
        answer = client.receive(Duration::from_millis(100)).ok();
    }
    let answer = answer.unwrap();
    expect(&answer, 200, "ok");
    assert_eq!(answer.response["status"], "built");
    seen += &serde_json::to_string(&(&answer.response, &answer.context, &answer.status)).unwrap();
    seen += &rig.worker.process().log();
    seen += &rig.router.process().log();
    seen += &http::get(rig.worker.admin(), "/status.json").unwrap().body;
    seen += &http::get(rig.worker.admin(), "/metrics").unwrap().body;
    for file in files_below(rig.worker.dir()) {
        seen += &String::from_utf8_lossy(&fs::read(file).unwrap_or_default());
    }
    assert!(seen.contains("PATH="), "nothing was recorded");
    for secret in [PASSWORD, GIT_SECRET] {
        assert!(!seen.contains(secret), "{secret} was leaked");
    }

    let version = answer.response["image_tag"].as_str().unwrap();
    let flags = ["--docker-config", path(&rig.credentials)];
    let _runner = WorkerOptions::new("runner-1").flags(&flags).start(&rig.router);
    let uri = rig.stage.submission("1", &[("a.sh", "")]);
    let deploy = json!({
        "action": "deploy_container_version", "channel": "test_runners", "track_slug": TRACK, "new_version": version
    });
    expect(&rig.router.ask(&deploy), 200, "ok");
    expect(&rig.router.ask(&test_solution("1", TRACK, &uri, version)), 200, "ok");
}

#[test]
fn broken_layer_upload_is_retried() {
    let registry = Registry::start(true);
    let proxy = FaultyRegistry::start(&registry.location());
    let rig = Rig::new(&proxy.location());
    proxy.set(Some(RegistryFault::Drop { after: 100_000 }));
    expect(&rig.build("main"), 200, "ok");
    assert_eq!(proxy.faults_met(), 1);
}

#[test]
fn refusing_registry_is_named() {
    let registry = Registry::start(true);
    let proxy = FaultyRegistry::start(&registry.location());
    let rig = Rig::new(&proxy.location());
    proxy.set(Some(RegistryFault::Refuse { method: "POST", status: 403, times: 99 }));
    let answer = rig.build("main");
    expect(&answer, 512, "release");
    assert!(answer.status.message.contains(&proxy.location()), "{}", answer.status.message);
    assert!(!answer.status.message.contains(PASSWORD));
}

#[test]
fn builder_killed_in_smoke_check_or_release_leaves_nothing() {
    let registry = Registry::start(true);
    let proxy = FaultyRegistry::start(&registry.location());
    for phase in ["smoke check", "release"] {
        let mut rig = Rig::new(&proxy.location());
        let client = rig.router.client();
        if phase == "release" {
            proxy.set(Some(RegistryFault::Freeze { after: 50_000 }));
        } else {
            rig.tooling.write("bin/run.sh", "#!/bin/sh\nexec sleep 1234.5\n");
        }
        rig.tooling.write("phase", phase);
        let sha = rig.tooling.commit_all();
        client.send(&build(TRACK, &sha)).unwrap();
        let asleep = || leftovers::commands().iter().any(|line| line.contains("sleep 1234.5"));
        wait_until(
            ANSWER_TIMEOUT,
            phase,
            || if phase == "release" { proxy.faults_met() > 0 } else { asleep() },
        );
        rig.worker.process().kill();
        wait_until(seconds(5), "nothing runs any more", || !asleep());
        proxy.set(None);
        let dir = rig.worker.dir().to_owned();
        let flags = ["--docker-config", path(&rig.credentials)];
        let _next = builder("builder-1", "buildkit").dir(&dir).flags(&flags).start(&rig.router);
        expect(&client.receive(seconds(60)).unwrap(), 504, "worker_lost");
        assert!(!dir.join("builds/0/tree").exists() && !dir.join("builds/0/image").exists());
        rig.tooling.write("bin/run.sh", "#!/bin/sh\necho '{\"version\": 2}' > $3/results.json\n");
        let sha = rig.tooling.commit_all();
        expect(&rig.build(&sha), 200, "ok");
    }
}

#[test]
fn build_is_released_to_ecr() {
    let registry = Registry::start(true);
    let ecr = EcrStub::start(&registry);
    let stage = Stage::new();
    let _tooling = ToolingRepository::new(&stage, TRACK);
    let images = json!({"kind": "ecr", "location": LOCATION});
    let router = Router::start(&set_images(config(&stage), images));
    let keys = [("AWS_ACCESS_KEY_ID", "tests"), ("AWS_SECRET_ACCESS_KEY", "planted-aws-secret")];
    let builder = builder("builder-1", "buildkit").flags(&["--ecr-endpoint", &ecr.endpoint()]);
    let mut worker = builder.environment(&keys).start(&router);
    ecr.throttle(2);
    ecr.expire_tokens_after(500_000, 403);
    let client = router.client();
    let answer = client.request(&build(TRACK, "main"), ANSWER_TIMEOUT).unwrap();
    expect(&answer, 200, "ok");
    assert_eq!(answer.response["status"], "built");
    assert!(ecr.settings("shell-test-runner").is_some(), "the repository was made");
    assert!(ecr.tokens_given() >= 2, "{} tokens", ecr.tokens_given());
    let again = client.request(&build(TRACK, "main"), ANSWER_TIMEOUT).unwrap();
    assert_eq!(
        (&again.response["status"], &again.response["digest"]),
        (&json!("ignored"), &answer.response["digest"])
    );

    let output = format!("{}{}{}", answer.response, answer.context, worker.process().log());
    assert!(!output.contains("planted-aws-secret"));
}
