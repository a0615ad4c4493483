//! Builds versions from git references, with the real git, img, BuildKit and buildah.
#![cfg(test)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use e2e::http;
use e2e::leftovers;
use e2e::request::{expect, test_solution, with};
use e2e::router::Router;
use e2e::stage::Stage;
use e2e::tooling::{PASSED, SHELL, ToolingRepository, build, builder, config};
use e2e::wait::{seconds, wait_until};
use e2e::worker::{Worker, WorkerOptions};
use rstest::rstest;
use serde_json::{Value, json};
use trackyard_protocol::answer::Answer;

const TRACK: &str = "shell";
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// A router, a builder and a repository. Fields are dropped in order, so the builder ends first.
struct Rig {
    worker: Worker,
    router: Router,
    tooling: ToolingRepository,
    stage: Stage,
}

impl Rig {
    fn new(driver: &str) -> Self {
        Self::with_slots(driver, 1)
    }

    fn with_slots(driver: &str, slots: u32) -> Self {
        let stage = Stage::new();
        let tooling = ToolingRepository::new(&stage, TRACK);
        let router = Router::start(&config(&stage));
        let worker = builder("builder-1", driver).slots(slots).start(&router);
        Self { worker, router, tooling, stage }
    }

    fn build(&self, reference: &str) -> Answer {
        self.router.client().request(&build(TRACK, reference), ANSWER_TIMEOUT).unwrap()
    }

    /// Builds a commit whose Dockerfile ends with `line`.
    fn build_with(&self, line: &str) -> Answer {
        self.tooling.write("Dockerfile", &format!("{SHELL}{line}\n"));
        let sha = self.tooling.commit_all();
        self.build(&sha)
    }

    fn tags(&self) -> BTreeSet<String> {
        let ask =
            json!({"action": "list_available_containers", "channel": "test_runners", "track_slug": TRACK});
        let answer = self.router.ask(&ask);
        let images = answer.response["list_images"].as_object().cloned().unwrap_or_default();
        images
            .values()
            .flat_map(|tags| tags.as_array().cloned().unwrap_or_default())
            .map(|tag| tag.as_str().unwrap_or_default().to_owned())
            .collect()
    }

    fn assert_nothing_left(&self) {
        let builds = self.worker.dir().join("builds").display().to_string();
        let runs = || leftovers::commands().iter().any(|line| line.contains(&builds));
        wait_until(seconds(5), "no process of the build is left", || !runs());
        let mounts = leftovers::all_mounts();
        assert!(!mounts.iter().any(|line| line.contains(&builds)), "{mounts:?}");
        let build = self.worker.dir().join("builds/0");
        wait_until(seconds(5), "the build's files are gone", || {
            !build.join("tree").exists() && !build.join("image").exists()
        });
    }
}

#[rstest]
#[case("img")]
#[case("buildkit")]
#[case("buildah")]
fn commit_branch_and_tag_become_versions(#[case] driver: &str) {
    let rig = Rig::new(driver);
    let first = rig.tooling.git(&["rev-parse", "HEAD"]);
    let built = rig.build(&first);
    expect(&built, 200, "ok");
    let version = format!("git-{first}");
    assert_eq!((&built.response["status"], &built.response["image_tag"]), (&json!("built"), &json!(version)));
    assert!(built.response["logs"].as_str().unwrap().contains("smoke check"), "{}", built.response);

    let again = rig.build("main");
    assert_eq!(again.response["status"], "ignored");
    assert_eq!(again.response["digest"], built.response["digest"]);

    rig.tooling.write("bin/extra.sh", "");
    let second = rig.tooling.commit_all();
    rig.tooling.git(&["tag", "--annotate", "v1.0", "--message=x"]);
    rig.tooling.git(&["tag", "light"]);
    assert_eq!(rig.build("v1.0").response["image_tag"], format!("git-{second}"));
    assert_eq!(rig.build("light").response["status"], "ignored");
    rig.tooling.write("bin/more.sh", "");
    let third = rig.tooling.commit_all();
    assert_eq!(rig.build("main").response["status"], "built");
    let tags = rig.tags();
    for tag in [&version, &format!("git-{second}"), &format!("git-{third}"), "v1.0", "main", "latest"] {
        assert!(tags.contains(tag), "{tag} is not among {tags:?}");
    }
    assert_eq!(tags.iter().filter(|tag| tag.starts_with("build-")).count(), 3);

    let _runner = WorkerOptions::new("runner-1").start(&rig.router);
    let deploy = json!({
        "action": "deploy_container_version", "channel": "test_runners", "track_slug": TRACK, "new_version": version
    });
    expect(&rig.router.ask(&deploy), 200, "ok");
    let uri = rig.stage.submission("1", &[("a.sh", "")]);
    let answer = rig.router.ask(&test_solution("1", TRACK, &uri, &version));
    expect(&answer, 200, "ok");
    assert_eq!(answer.response, serde_json::from_str::<Value>(PASSED).unwrap());
    rig.assert_nothing_left();
}

#[rstest]
#[case("img")]
#[case("buildkit")]
#[case("buildah")]
fn hostile_build_is_ended_and_leaves_nothing(#[case] driver: &str) {
    let rig = Rig::new(driver);
    for (line, code, reason) in [
        ("RUN echo to be seen && exit 7", 513, "build_failed"),
        ("RUN sleep 1000", 401, "idle_time"),
        ("RUN while :; do head -c 10485760 /dev/urandom >> /fill; echo more; done", 402, "disk_limit"),
        ("RUN tail /dev/zero", 403, "oom_killed"),
        ("RUN bomb() { bomb | bomb & }; bomb; sleep 2; exit 1", 513, "build_failed"),
        ("COPY missing /x", 513, "build_failed"),
    ] {
        let answer = rig.build_with(line);
        expect(&answer, code, reason);
        assert!(answer.context["logs"].as_str().is_some_and(|logs| logs.contains("fetch:")), "{line}");
        rig.assert_nothing_left();
    }
    let failed = rig.build_with("RUN echo to be seen && exit 7");
    assert!(failed.context["logs"].to_string().contains("to be seen"), "{}", failed.context);
    assert!(failed.status.message.contains('7'), "{}", failed.status.message);
    assert_eq!(rig.tags(), BTreeSet::new());
    // Endless output is bounded, and the next build is served.
    let endless = rig.build_with("RUN timeout 3 yes 0123456789; exit 1");
    assert!(endless.context["logs"].as_str().is_some_and(|logs| logs.len() < 600 << 10));
    expect(&rig.build_with("RUN true"), 200, "ok");
}

#[test]
fn unknown_and_abbreviated_references_are_refused() {
    let rig = Rig::new("buildkit");
    let sha = rig.tooling.git(&["rev-parse", "HEAD"]);
    for (reference, expected) in [
        ("missing", "no commit, branch or tag"),
        (&sha[..10], "40 hex digits"),
        (&"0".repeat(40), "no commit"),
    ] {
        let answer = rig.build(reference);
        expect(&answer, 400, "bad_reference");
        assert!(answer.status.message.contains(expected), "{}", answer.status.message);
    }
}

#[test]
fn missing_builder_or_source_is_reported() {
    let stage = Stage::new();
    let router = Router::start(&config(&stage));
    let answer = router.ask(&build(TRACK, "main"));
    expect(&answer, 503, "no_worker");
    assert!(answer.status.message.contains("builders"), "{}", answer.status.message);
    let router = Router::start(&stage.config());
    assert!(router.ask(&build(TRACK, "main")).status.message.contains("source.url"));
}

#[test]
fn concurrent_requests_share_one_build() {
    let rig = Rig::with_slots("buildkit", 2);
    let client = rig.router.client();
    client.send(&build(TRACK, "main")).unwrap();
    client.send(&build(TRACK, "main")).unwrap();
    let answers = [client.receive(ANSWER_TIMEOUT).unwrap(), client.receive(ANSWER_TIMEOUT).unwrap()];
    assert!(answers.iter().all(|answer| answer.response["status"] == "built"), "{answers:?}");
    assert_eq!(answers[0].response["logs"], answers[1].response["logs"]);
}

#[test]
fn commit_by_two_references_is_released_once() {
    let rig = Rig::with_slots("img", 2);
    rig.tooling.git(&["tag", "v1"]);
    let client = rig.router.client();
    client.send(&build(TRACK, "main")).unwrap();
    client.send(&build(TRACK, "v1")).unwrap();
    let answers = [client.receive(ANSWER_TIMEOUT).unwrap(), client.receive(ANSWER_TIMEOUT).unwrap()];
    let statuses: BTreeSet<&str> = answers.iter().filter_map(|a| a.response["status"].as_str()).collect();
    assert_eq!(statuses, BTreeSet::from(["built", "ignored"]), "{answers:?}");
    assert_eq!(answers[0].response["digest"], answers[1].response["digest"]);
}

#[test]
fn image_that_fails_its_smoke_check_is_not_released() {
    let rig = Rig::new("buildkit");
    rig.tooling.write("tests/passes/expected_results.json", PASSED);
    rig.tooling
        .write("tests/differs/expected_results.json", r#"{"version": 2, "status": "fail", "tests": []}"#);
    let sha = rig.tooling.commit_all();
    let answer = rig.build(&sha);
    expect(&answer, 513, "smoke_check");
    let message = &answer.status.message;
    assert!(
        message.contains("tests/differs") && message.contains("/status is \"pass\", expected \"fail\""),
        "{message}"
    );
    rig.tooling.git(&["rm", "-r", "--quiet", "tests"]);
    for (script, expected) in
        [("#!/bin/missing\n", "does not start"), ("#!/bin/sh\nexec /bin/nothing\n", "does not start")]
    {
        rig.tooling.write("bin/run.sh", script);
        let sha = rig.tooling.commit_all();
        let answer = rig.build(&sha);
        expect(&answer, 513, "smoke_check");
        assert!(answer.status.message.contains(expected), "{}", answer.status.message);
    }
    rig.tooling.git(&["rm", "--quiet", "bin/run.sh"]);
    rig.tooling.write("bin/other.sh", "");
    let sha = rig.tooling.commit_all();
    assert!(rig.build(&sha).status.message.contains("no executable /opt/test-runner/bin/run.sh"));
    assert_eq!(rig.tags(), BTreeSet::new());
}

#[test]
fn smoke_check_has_no_network_and_a_read_only_root() {
    let rig = Rig::new("buildkit");
    let script = "#!/bin/sh
net=$(sed -n 's/^ *\\([a-z0-9]*\\):.*/\\1/p' /proc/net/dev)
touch /opt/x 2>/dev/null && root=writable || root=read-only
echo \"{\\\"root\\\": \\\"$root\\\", \\\"net\\\": \\\"$net\\\"}\" > $3/results.json
";
    rig.tooling.write("bin/run.sh", script);
    let expected = r#"{"root": "read-only", "net": "lo"}"#;
    rig.tooling.write("tests/walls/expected_results.json", expected);
    let sha = rig.tooling.commit_all();
    expect(&rig.build(&sha), 200, "ok");
}

#[test]
fn unsupported_dockerfile_names_a_capable_driver() {
    let rig = Rig::new("img");
    let line = "COPY --chmod=755 bin /again";
    let answer = rig.build_with(line);
    expect(&answer, 513, "unsupported");
    let message = &answer.status.message;
    assert!(message.contains("COPY --chmod") && message.contains("buildkit"), "{message}");
    let able = Rig::new("buildkit");
    expect(&able.build_with(line), 200, "ok");
    expect(&able.build_with("RUN <<EOF\necho from a heredoc\nEOF"), 200, "ok");
}

#[rstest]
#[case("img")]
#[case("buildkit")]
#[case("buildah")]
fn killed_builder_leaves_nothing(#[case] driver: &str) {
    let mut rig = Rig::new(driver);
    rig.tooling.write("Dockerfile", &format!("{SHELL}RUN echo started && sleep 1000.5\n"));
    let sha = rig.tooling.commit_all();
    let client = rig.router.client();
    client.send(&build(TRACK, &sha)).unwrap();
    let asleep = || leftovers::commands().iter().any(|line| line.contains("sleep 1000.5"));
    wait_until(seconds(60), "the RUN step runs", asleep);
    rig.worker.process().kill();
    wait_until(seconds(5), "the RUN step is gone", || !asleep());
    let dir = rig.worker.dir().to_owned();
    let next = builder("builder-1", driver).dir(&dir).start(&rig.router);
    let lost = client.receive(seconds(60)).unwrap();
    expect(&lost, 504, "worker_lost");
    rig.tooling.write("Dockerfile", SHELL);
    let sha = rig.tooling.commit_all();
    expect(&rig.build(&sha), 200, "ok");
    drop(next);
}

#[test]
fn build_ends_at_wall_time_or_deadline() {
    let rig = Rig::new("buildkit");
    rig.tooling.write("Dockerfile", &format!("{SHELL}RUN while sleep 1; do echo more; done\n"));
    let sha = rig.tooling.commit_all();
    let client = rig.router.client();
    let late =
        client.request(&with(build(TRACK, &sha), "execution_timeout", json!(3)), ANSWER_TIMEOUT).unwrap();
    expect(&late, 401, "wall_time");
    assert!(late.status.message.contains("3s"), "{}", late.status.message);
    rig.assert_nothing_left();
    let gone = client.request(&with(build(TRACK, &sha), "deadline_ms", json!(2500)), ANSWER_TIMEOUT).unwrap();
    expect(&gone, 504, "deadline");
    rig.assert_nothing_left();
    let greedy = client
        .request(&with(build(TRACK, &sha), "execution_timeout", json!(999_999)), ANSWER_TIMEOUT)
        .unwrap();
    expect(&greedy, 400, "bad_timeout");
}

#[rstest]
#[case("img")]
#[case("buildkit")]
fn builds_in_two_slots_run_concurrently(#[case] driver: &str) {
    let rig = Rig::with_slots(driver, 2);
    let commits = ["one", "two"].map(|name| {
        rig.tooling.write("Dockerfile", &format!("{SHELL}RUN echo {name}-$((0+1)) && sleep 3\n"));
        rig.tooling.commit_all()
    });
    let client = rig.router.client();
    commits.iter().for_each(|sha| client.send(&build(TRACK, sha)).unwrap());
    let sleeps = |sha: &String| {
        let progress = rig.router.ask(&with(build(TRACK, sha), "action", json!("build_log")));
        let lines = progress.response["lines"].to_string();
        progress.response["state"] == "running" && (lines.contains("one-1") || lines.contains("two-1"))
    };
    wait_until(seconds(30), "both run their last step at once", || commits.iter().all(sleeps));
    for _ in commits {
        expect(&client.receive(ANSWER_TIMEOUT).unwrap(), 200, "ok");
    }
}

#[test]
fn running_build_can_be_followed() {
    let rig = Rig::new("buildkit");
    rig.tooling.write("Dockerfile", &format!("{SHELL}RUN echo one-is-$((0+1)) && sleep 2 && echo two\n"));
    let sha = rig.tooling.commit_all();
    let client = rig.router.client();
    client.send(&build(TRACK, &sha)).unwrap();
    let start = Instant::now();
    let mut ask = build(TRACK, &sha);
    ask["action"] = json!("build_log");
    wait_until(seconds(60), "a line of the running build", || {
        let progress = rig.router.ask(&ask);
        progress.response["state"] == "running" && progress.response["lines"].to_string().contains("one-is-1")
    });
    let pages = |path: &str| http::get(rig.worker.admin(), path).unwrap().body;
    let list: Value = serde_json::from_str(&pages("/builds")).unwrap();
    let log = pages(&format!("/builds/{}/log?from=1", list[0]["token"].as_str().unwrap()));
    assert!(log.contains("one-is-1") && !log.contains("looking for"), "{log}");
    expect(&client.receive(ANSWER_TIMEOUT).unwrap(), 200, "ok");
    assert_eq!(pages("/builds"), "[]");
    assert!(start.elapsed() >= seconds(2));
    assert_eq!(rig.router.ask(&ask).response["state"], "none");
}
