//! Builds from repositories on real git hosts: over HTTPS with a password, and over SSH with a key.
#![cfg(test)]

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use e2e::git_host::{HttpsHost, PASSWORD, SshHost};
use e2e::leftovers;
use e2e::request::expect;
use e2e::router::Router;
use e2e::stage::Stage;
use e2e::tooling::{ToolingRepository, build, builder, config};
use e2e::wait::{seconds, wait_until};
use serde_json::json;
use trackyard_protocol::answer::Answer;

const TRACK: &str = "shell";
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Builds from the repository below `url`, with a builder that has these flags. Returns the answer.
fn build_from(stage: &Stage, url: &str, flags: &[&str]) -> Answer {
    let config = config(stage).set(&["source", "url"], json!(format!("{url}/{{repository}}")));
    let router = Router::start(&config);
    let _worker = builder("builder-1", "img").flags(flags).start(&router);
    let answer = router.client().request(&build(TRACK, "main"), ANSWER_TIMEOUT).unwrap();
    assert!(!format!("{answer:?}").contains(PASSWORD), "{answer:?}");
    answer
}

fn expect_refused(answer: &Answer, why: &str) {
    expect(answer, 512, "fetch");
    assert!(answer.status.message.contains(why), "{}", answer.status.message);
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn https_with_password_and_private_authority() {
    let stage = Stage::new();
    let tooling = ToolingRepository::new(&stage, TRACK);
    let host = HttpsHost::start(tooling.dir());
    let authority = host.authority();
    let credentials = host.credentials();
    let trust = ["--ca-file", text(&authority)];
    let login = ["--git-credentials", text(&credentials)];
    expect(&build_from(&stage, &host.url(), &[&trust[..], &login].concat()), 200, "ok");
    expect_refused(&build_from(&stage, &host.url(), &login), "certificate");
    expect_refused(&build_from(&stage, &host.url(), &trust), "could not read Username");
}

#[test]
fn ssh_with_key_and_known_host() {
    let stage = Stage::new();
    let tooling = ToolingRepository::new(&stage, TRACK);
    let host = SshHost::start();
    let other = SshHost::start();
    let url = format!("{}{}", host.url(), text(tooling.dir().parent().unwrap()));
    let with = |key: &Path, known_hosts: &Path| {
        build_from(&stage, &url, &["--ssh-key", text(key), "--known-hosts", text(known_hosts)])
    };
    expect(&with(&host.key(), &host.known_hosts()), 200, "ok");
    expect_refused(&with(&host.key(), &other.known_hosts()), "Host key verification failed");
    expect_refused(&with(&other.key(), &host.known_hosts()), "Permission denied");
}

#[test]
fn silent_git_host_times_out() {
    let stage = Stage::new();
    // The listener accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let config = config(&stage).set(&["source", "url"], json!(format!("{url}/{{repository}}")));
    let router = Router::start(&config.set(&["builds", "wall"], json!("3s")));
    let _worker = builder("builder-1", "img").start(&router);
    let answer = router.client().request(&build(TRACK, "main"), ANSWER_TIMEOUT).unwrap();
    expect(&answer, 401, "wall_time");
    let fetching = || leftovers::commands().iter().any(|line| line.contains(&url));
    wait_until(seconds(5), "git has ended", || !fetching());
}
