//! From a git reference to a deployed version, with the real git, img, BuildKit and buildah.
#![cfg(test)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use e2e::http;
use e2e::leftovers;
use e2e::request::{expect, test_solution, with};
use e2e::router::Router;
use e2e::stage::Stage;
use e2e::tooling::{PASSED, SHELL, Tooling, build, builder, config};
use e2e::wait::{seconds, wait_until};
use e2e::worker::{Options, Worker};
use rstest::rstest;
use serde_json::{Value, json};
use trackyard_protocol::answer::Answer;

const TRACK: &str = "shell";
const PATIENCE: Duration = Duration::from_secs(120);

/// A router, a builder and a repository. The builder ends first.
struct Yard {
    worker: Worker,
    router: Router,
    tooling: Tooling,
    stage: Stage,
}

impl Yard {
    fn new(driver: &str) -> Self {
        Self::with_slots(driver, 1)
    }

    fn with_slots(driver: &str, slots: u32) -> Self {
        let stage = Stage::new();
        let tooling = Tooling::new(&stage, TRACK);
        let router = Router::start(&config(&stage));
        let worker = builder("builder-1", driver).slots(slots).start(&router);
        Self { worker, router, tooling, stage }
    }

    fn build(&self, reference: &str) -> Answer {
        self.router.client().request(&build(TRACK, reference), PATIENCE).unwrap()
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

    fn nothing_is_left(&self) {
        let builds = self.worker.dir().join("builds").display().to_string();
        let runs = || leftovers::commands().iter().any(|line| line.contains(&builds));
        wait_until(seconds(5), "no process of the build is left", || !runs());
        let mounts = leftovers::all_mounts();
        assert!(!mounts.iter().any(|line| line.contains(&builds)), "{mounts:?}");
        let of_a_build = |name: &str| self.worker.dir().join("builds/0").join(name).exists();
        wait_until(seconds(5), "its files are gone", || !of_a_build("tree") && !of_a_build("image"));
    }
}

#[rstest]
#[case("img")]
#[case("buildkit")]
#[case("buildah")]
fn a_commit_a_branch_and_a_tag_become_versions_that_run(#[case] driver: &str) {
    let yard = Yard::new(driver);
    let first = yard.tooling.git(&["rev-parse", "HEAD"]);
    let built = yard.build(&first);
    expect(&built, 200, "ok");
    let version = format!("git-{first}");
    assert_eq!((&built.response["status"], &built.response["image_tag"]), (&json!("built"), &json!(version)));
    assert!(built.response["logs"].as_str().unwrap().contains("smoke check"), "{}", built.response);

    let again = yard.build("main");
    assert_eq!(again.response["status"], "ignored");
    assert_eq!(again.response["digest"], built.response["digest"]);

    yard.tooling.write("bin/extra.sh", "");
    let second = yard.tooling.commit_all();
    yard.tooling.git(&["tag", "--annotate", "v1.0", "--message=x"]);
    yard.tooling.git(&["tag", "light"]);
    assert_eq!(yard.build("v1.0").response["image_tag"], format!("git-{second}"));
    assert_eq!(yard.build("light").response["status"], "ignored");
    yard.tooling.write("bin/more.sh", "");
    let third = yard.tooling.commit_all();
    assert_eq!(yard.build("main").response["status"], "built");
    let tags = yard.tags();
    for tag in [&version, &format!("git-{second}"), &format!("git-{third}"), "v1.0", "main", "latest"] {
        assert!(tags.contains(tag), "{tag} is not among {tags:?}");
    }
    assert_eq!(tags.iter().filter(|tag| tag.starts_with("build-")).count(), 3);

    let _runner = Options::new("runner-1").start(&yard.router);
    let deploy = json!({
        "action": "deploy_container_version", "channel": "test_runners", "track_slug": TRACK, "new_version": version
    });
    expect(&yard.router.ask(&deploy), 200, "ok");
    let uri = yard.stage.submission("1", &[("a.sh", "")]);
    let answer = yard.router.ask(&test_solution("1", TRACK, &uri, &version));
    expect(&answer, 200, "ok");
    assert_eq!(answer.response, serde_json::from_str::<Value>(PASSED).unwrap());
    yard.nothing_is_left();
}

#[rstest]
#[case("img")]
#[case("buildkit")]
#[case("buildah")]
fn a_build_that_does_wrong_is_ended_says_why_and_leaves_nothing(#[case] driver: &str) {
    let yard = Yard::new(driver);
    for (line, code, reason) in [
        ("RUN echo to be seen && exit 7", 513, "build_failed"),
        ("RUN sleep 1000", 401, "idle_time"),
        ("RUN while :; do head -c 10485760 /dev/urandom >> /fill; echo more; done", 402, "disk_limit"),
        ("RUN tail /dev/zero", 403, "oom_killed"),
        ("RUN bomb() { bomb | bomb & }; bomb; sleep 2; exit 1", 513, "build_failed"),
        ("COPY missing /x", 513, "build_failed"),
    ] {
        let answer = yard.build_with(line);
        expect(&answer, code, reason);
        assert!(answer.context["logs"].as_str().is_some_and(|logs| logs.contains("fetch:")), "{line}");
        yard.nothing_is_left();
    }
    let failed = yard.build_with("RUN echo to be seen && exit 7");
    assert!(failed.context["logs"].to_string().contains("to be seen"), "{}", failed.context);
    assert!(failed.status.message.contains('7'), "{}", failed.status.message);
    assert_eq!(yard.tags(), BTreeSet::new());
    // Endless output is bounded, and the next build is served.
    let endless = yard.build_with("RUN timeout 3 yes 0123456789; exit 1");
    assert!(endless.context["logs"].as_str().is_some_and(|logs| logs.len() < 600 << 10));
    expect(&yard.build_with("RUN true"), 200, "ok");
}

#[test]
fn a_reference_that_is_not_there_is_told_apart_from_a_part_of_a_sha() {
    let yard = Yard::new("buildkit");
    let sha = yard.tooling.git(&["rev-parse", "HEAD"]);
    for (reference, said) in [
        ("missing", "no commit, branch or tag"),
        (&sha[..10], "40 hex digits"),
        (&"0".repeat(40), "no commit"),
    ] {
        let answer = yard.build(reference);
        expect(&answer, 400, "bad_reference");
        assert!(answer.status.message.contains(said), "{}", answer.status.message);
    }
}

#[test]
fn without_a_builder_or_a_source_the_answer_says_so() {
    let stage = Stage::new();
    let router = Router::start(&config(&stage));
    let answer = router.ask(&build(TRACK, "main"));
    expect(&answer, 503, "no_worker");
    assert!(answer.status.message.contains("builders"), "{}", answer.status.message);
    let router = Router::start(&stage.config());
    assert!(router.ask(&build(TRACK, "main")).status.message.contains("source.url"));
}

#[test]
fn the_same_reference_twice_at_once_is_one_build_with_two_answers() {
    let yard = Yard::with_slots("buildkit", 2);
    let client = yard.router.client();
    client.send(&build(TRACK, "main")).unwrap();
    client.send(&build(TRACK, "main")).unwrap();
    let answers = [client.receive(PATIENCE).unwrap(), client.receive(PATIENCE).unwrap()];
    assert!(answers.iter().all(|answer| answer.response["status"] == "built"), "{answers:?}");
    assert_eq!(answers[0].response["logs"], answers[1].response["logs"]);
}

#[test]
fn one_commit_by_two_references_at_once_is_released_once() {
    let yard = Yard::with_slots("img", 2);
    yard.tooling.git(&["tag", "v1"]);
    let client = yard.router.client();
    client.send(&build(TRACK, "main")).unwrap();
    client.send(&build(TRACK, "v1")).unwrap();
    let answers = [client.receive(PATIENCE).unwrap(), client.receive(PATIENCE).unwrap()];
    let statuses: BTreeSet<&str> = answers.iter().filter_map(|a| a.response["status"].as_str()).collect();
    assert_eq!(statuses, BTreeSet::from(["built", "ignored"]), "{answers:?}");
    assert_eq!(answers[0].response["digest"], answers[1].response["digest"]);
}

#[test]
fn an_image_that_is_not_fit_is_not_released() {
    let yard = Yard::new("buildkit");
    yard.tooling.write("tests/passes/expected_results.json", PASSED);
    yard.tooling
        .write("tests/differs/expected_results.json", r#"{"version": 2, "status": "fail", "tests": []}"#);
    let sha = yard.tooling.commit_all();
    let answer = yard.build(&sha);
    expect(&answer, 513, "smoke_check");
    let message = &answer.status.message;
    assert!(
        message.contains("tests/differs") && message.contains("/status is \"pass\", expected \"fail\""),
        "{message}"
    );
    yard.tooling.git(&["rm", "-r", "--quiet", "tests"]);
    for (script, said) in
        [("#!/bin/missing\n", "does not start"), ("#!/bin/sh\nexec /bin/nothing\n", "does not start")]
    {
        yard.tooling.write("bin/run.sh", script);
        let sha = yard.tooling.commit_all();
        let answer = yard.build(&sha);
        expect(&answer, 513, "smoke_check");
        assert!(answer.status.message.contains(said), "{}", answer.status.message);
    }
    yard.tooling.git(&["rm", "--quiet", "bin/run.sh"]);
    yard.tooling.write("bin/other.sh", "");
    let sha = yard.tooling.commit_all();
    assert!(yard.build(&sha).status.message.contains("no executable /opt/test-runner/bin/run.sh"));
    assert_eq!(yard.tags(), BTreeSet::new());
}

#[test]
fn the_smoke_check_sees_no_network_and_a_read_only_root() {
    let yard = Yard::new("buildkit");
    let script = "#!/bin/sh
net=$(sed -n 's/^ *\\([a-z0-9]*\\):.*/\\1/p' /proc/net/dev)
touch /opt/x 2>/dev/null && root=writable || root=read-only
echo \"{\\\"root\\\": \\\"$root\\\", \\\"net\\\": \\\"$net\\\"}\" > $3/results.json
";
    yard.tooling.write("bin/run.sh", script);
    let expected = r#"{"root": "read-only", "net": "lo"}"#;
    yard.tooling.write("tests/walls/expected_results.json", expected);
    let sha = yard.tooling.commit_all();
    expect(&yard.build(&sha), 200, "ok");
}

#[test]
fn what_img_cannot_do_names_a_driver_that_can() {
    let yard = Yard::new("img");
    let line = "COPY --chmod=755 bin /again";
    let answer = yard.build_with(line);
    expect(&answer, 513, "unsupported");
    let message = &answer.status.message;
    assert!(message.contains("COPY --chmod") && message.contains("buildkit"), "{message}");
    let able = Yard::new("buildkit");
    expect(&able.build_with(line), 200, "ok");
    expect(&able.build_with("RUN <<EOF\necho from a heredoc\nEOF"), 200, "ok");
}

#[rstest]
#[case("img")]
#[case("buildkit")]
#[case("buildah")]
fn a_builder_that_is_killed_leaves_nothing_running_and_the_next_one_starts_clean(#[case] driver: &str) {
    let mut yard = Yard::new(driver);
    yard.tooling.write("Dockerfile", &format!("{SHELL}RUN echo started && sleep 1000.5\n"));
    let sha = yard.tooling.commit_all();
    let client = yard.router.client();
    client.send(&build(TRACK, &sha)).unwrap();
    let asleep = || leftovers::commands().iter().any(|line| line.contains("sleep 1000.5"));
    wait_until(seconds(60), "the RUN step runs", asleep);
    yard.worker.process().kill();
    wait_until(seconds(5), "the RUN step is gone", || !asleep());
    let dir = yard.worker.dir().to_owned();
    let next = builder("builder-1", driver).dir(&dir).start(&yard.router);
    let lost = client.receive(seconds(60)).unwrap();
    expect(&lost, 504, "worker_lost");
    yard.tooling.write("Dockerfile", SHELL);
    let sha = yard.tooling.commit_all();
    expect(&yard.build(&sha), 200, "ok");
    drop(next);
}

#[test]
fn a_build_ends_at_its_time_or_when_nobody_waits_any_more() {
    let yard = Yard::new("buildkit");
    yard.tooling.write("Dockerfile", &format!("{SHELL}RUN while sleep 1; do echo more; done\n"));
    let sha = yard.tooling.commit_all();
    let client = yard.router.client();
    let late = client.request(&with(build(TRACK, &sha), "execution_timeout", json!(3)), PATIENCE).unwrap();
    expect(&late, 401, "wall_time");
    assert!(late.status.message.contains("3s"), "{}", late.status.message);
    yard.nothing_is_left();
    let gone = client.request(&with(build(TRACK, &sha), "deadline_ms", json!(2500)), PATIENCE).unwrap();
    expect(&gone, 504, "deadline");
    yard.nothing_is_left();
    let greedy =
        client.request(&with(build(TRACK, &sha), "execution_timeout", json!(999_999)), PATIENCE).unwrap();
    expect(&greedy, 400, "bad_timeout");
}

#[rstest]
#[case("img")]
#[case("buildkit")]
fn builds_in_two_slots_do_not_wait_for_each_other(#[case] driver: &str) {
    let yard = Yard::with_slots(driver, 2);
    let commits = ["one", "two"].map(|word| {
        yard.tooling.write("Dockerfile", &format!("{SHELL}RUN echo {word}-$((0+1)) && sleep 3\n"));
        yard.tooling.commit_all()
    });
    let client = yard.router.client();
    commits.iter().for_each(|sha| client.send(&build(TRACK, sha)).unwrap());
    let sleeps = |sha: &String| {
        let progress = yard.router.ask(&with(build(TRACK, sha), "action", json!("build_log")));
        let lines = progress.response["lines"].to_string();
        progress.response["state"] == "running" && (lines.contains("one-1") || lines.contains("two-1"))
    };
    wait_until(seconds(30), "both run their last step at once", || commits.iter().all(sleeps));
    for _ in commits {
        expect(&client.receive(PATIENCE).unwrap(), 200, "ok");
    }
}

#[test]
fn a_build_can_be_followed_while_it_runs() {
    let yard = Yard::new("buildkit");
    yard.tooling.write("Dockerfile", &format!("{SHELL}RUN echo one-is-$((0+1)) && sleep 2 && echo two\n"));
    let sha = yard.tooling.commit_all();
    let client = yard.router.client();
    client.send(&build(TRACK, &sha)).unwrap();
    let start = Instant::now();
    let mut ask = build(TRACK, &sha);
    ask["action"] = json!("build_log");
    wait_until(seconds(60), "a line of the running build", || {
        let progress = yard.router.ask(&ask);
        progress.response["state"] == "running" && progress.response["lines"].to_string().contains("one-is-1")
    });
    let pages = |path: &str| http::get(yard.worker.admin(), path).unwrap().body;
    let list: Value = serde_json::from_str(&pages("/builds")).unwrap();
    let log = pages(&format!("/builds/{}/log?from=1", list[0]["token"].as_str().unwrap()));
    assert!(log.contains("one-is-1") && !log.contains("looking for"), "{log}");
    expect(&client.receive(PATIENCE).unwrap(), 200, "ok");
    assert_eq!(pages("/builds"), "[]");
    assert!(start.elapsed() >= seconds(2));
    assert_eq!(yard.router.ask(&ask).response["state"], "none");
}
