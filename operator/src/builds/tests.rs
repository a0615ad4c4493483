//! What is requested of the router, by its answers.

use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};
use trackyard_protocol::answer::Answer;
use trackyard_protocol::build::BuildState;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::reason::Reason;

use super::tracker::{BuildTracker, RouterRequest};
use super::{BuildSpec, BuildStage};

const TAG: &str = "git-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn spec(attempt: &str) -> BuildSpec {
    BuildSpec {
        uid: "u".to_owned(),
        attempt: attempt.to_owned(),
        channel: Channel::TestRunners,
        track: "ruby".to_owned(),
        git_reference: "main".to_owned(),
    }
}

fn answer(reason: Reason, response: &Value, context: &Value) -> Answer {
    let status = json!({"ok": reason.is_ok(), "status_code": reason.code(), "message": "why", "reason": reason.as_str()});
    serde_json::from_value(json!({"status": status, "response": response, "context": context})).unwrap()
}

fn built() -> Answer {
    let response = json!({"status": "built", "message": "", "track": "ruby", "image": "r/ruby", "image_tag": TAG,
                          "git_tag": "main", "digest": "sha256:0", "logs": ""});
    answer(Reason::Ok, &response, &json!({}))
}

/// Returns a tracker with one submitted build, and the time.
fn submitted() -> (BuildTracker, Instant) {
    let mut tracker = BuildTracker::default();
    let now = Instant::now();
    assert_eq!(tracker.request(spec(""), now), Some(RouterRequest::Submit(spec(""))));
    (tracker, now)
}

fn stage(tracker: &BuildTracker) -> BuildStage {
    tracker.stages()["u"].1.clone()
}

/// The interval between two polls.
const STEP: Duration = Duration::from_secs(3);

#[test]
fn build_is_submitted_once_then_polled() {
    let (mut tracker, now) = submitted();
    assert_eq!(tracker.request(spec(""), now), None);
    assert_eq!((tracker.take_due(now), tracker.is_idle()), (vec![], false));
    for (step, state) in [(1, BuildState::Waiting), (2, BuildState::Running)] {
        assert_eq!(tracker.take_due(now + STEP * step), [RouterRequest::Poll(spec(""))]);
        tracker.on_polled("u", state);
    }
    assert_eq!(stage(&tracker), BuildStage::Running);
    tracker.on_answer("u", &built(), now);
    assert_eq!(stage(&tracker), BuildStage::Built { version: TAG.to_owned() });
    assert_eq!((tracker.take_due(now + STEP * 99), tracker.is_idle()), (vec![], true));
    // Repeated or late answers change nothing.
    tracker.on_polled("u", BuildState::Running);
    tracker.on_answer("u", &answer(Reason::BuildFailed, &json!(null), &json!({})), now);
    assert_eq!(stage(&tracker), BuildStage::Built { version: TAG.to_owned() });
}

#[test]
fn twice_unknown_build_is_resubmitted() {
    let (mut tracker, mut now) = submitted();
    let mut step = |tracker: &mut BuildTracker| {
        now += STEP;
        tracker.take_due(now)
    };
    assert_eq!(step(&mut tracker), [RouterRequest::Poll(spec(""))]);
    tracker.on_polled("u", BuildState::None);
    assert_eq!(step(&mut tracker), [RouterRequest::Poll(spec(""))]);
    tracker.on_polled("u", BuildState::Running);
    tracker.on_polled("u", BuildState::None);
    assert_eq!(step(&mut tracker), [RouterRequest::Poll(spec(""))]);
    tracker.on_polled("u", BuildState::None);
    assert_eq!(step(&mut tracker), [RouterRequest::Submit(spec(""))]);
    assert_eq!(step(&mut tracker), [RouterRequest::Poll(spec(""))]);
}

#[test]
fn reconnect_resubmits_open_builds() {
    let (mut tracker, now) = submitted();
    tracker.on_reconnected(now);
    assert_eq!(tracker.take_due(now), [RouterRequest::Submit(spec(""))]);
    tracker.on_answer("u", &built(), now);
    tracker.on_reconnected(now);
    assert_eq!(tracker.take_due(now + STEP), []);
}

#[test]
fn postponed_build_is_retried_with_backoff() {
    let (mut tracker, mut now) = submitted();
    let mut delays = Vec::new();
    for _ in 0..9 {
        tracker.on_answer("u", &answer(Reason::NoWorker, &json!(null), &json!({})), now);
        assert_eq!(stage(&tracker), BuildStage::Postponed { why: "503 no_worker: why".to_owned() });
        let start = now;
        while tracker.take_due(now) != [RouterRequest::Submit(spec(""))] {
            now += Duration::from_secs(1);
            assert_eq!(tracker.request(spec(""), now), None);
        }
        delays.push((now - start).as_secs());
    }
    assert_eq!(delays, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
}

#[test]
fn unrequested_build_is_dropped() {
    let (mut tracker, now) = submitted();
    tracker.on_answer("u", &answer(Reason::NoWorker, &json!(null), &json!({})), now);
    assert_eq!(tracker.take_due(now + STEP * 2), [RouterRequest::Submit(spec(""))]);
    tracker.on_answer("u", &answer(Reason::NoWorker, &json!(null), &json!({})), now + STEP * 2);
    assert_eq!((tracker.take_due(now + Duration::from_secs(60)), tracker.is_idle()), (vec![], true));
    assert_eq!(
        tracker.request(spec(""), now + Duration::from_secs(61)),
        Some(RouterRequest::Submit(spec("")))
    );
}

#[rstest]
#[case::build_failed(Reason::BuildFailed, false)]
#[case::bad_reference(Reason::BadReference, false)]
#[case::smoke_check(Reason::SmokeCheck, false)]
#[case::wall_time(Reason::WallTime, false)]
#[case::bad_field(Reason::BadField, false)]
#[case::no_worker(Reason::NoWorker, true)]
#[case::fetch(Reason::Fetch, true)]
#[case::worker_lost(Reason::WorkerLost, true)]
#[case::worker_draining(Reason::WorkerDraining, true)]
#[case::forbidden(Reason::Forbidden, true)]
fn temporary_failures_are_postponed(#[case] reason: Reason, #[case] may_pass: bool) {
    let (mut tracker, now) = submitted();
    tracker.on_answer("u", &answer(reason, &json!(null), &json!({})), now);
    assert_eq!(matches!(stage(&tracker), BuildStage::Postponed { .. }), may_pass, "{:?}", stage(&tracker));
    assert_eq!(matches!(stage(&tracker), BuildStage::Failed { .. }), !may_pass);
}

#[test]
fn failure_has_log_tail_and_new_attempt_restarts() {
    let (mut tracker, now) = submitted();
    let logs: String = (0..100).map(|line| format!("line {line}\n")).collect();
    tracker.on_answer("u", &answer(Reason::BuildFailed, &json!(null), &json!({"logs": logs})), now);
    let BuildStage::Failed { why } = stage(&tracker) else { unreachable!("{:?}", stage(&tracker)) };
    assert!(why.starts_with("513 build_failed: why\nline 80\n") && why.ends_with("line 99"), "{why}");
    assert_eq!(tracker.request(spec(""), now), None);
    assert_eq!(tracker.request(spec("again"), now), Some(RouterRequest::Submit(spec("again"))));
    assert_eq!(tracker.stages()["u"], ("again".to_owned(), BuildStage::Requested));
}

#[test]
fn log_is_bounded_and_ended_builds_expire() {
    let (mut tracker, now) = submitted();
    let logs = "ü".repeat(1 << 20);
    tracker.on_answer("u", &answer(Reason::BuildFailed, &json!(null), &json!({"logs": logs})), now);
    let BuildStage::Failed { why } = stage(&tracker) else { unreachable!("{:?}", stage(&tracker)) };
    assert!(why.len() < 10_000);
    let other = BuildSpec { uid: "v".to_owned(), ..spec("") };
    tracker.request(other, now + Duration::from_secs(3600));
    assert_eq!(tracker.stages().keys().collect::<Vec<_>>(), ["v"]);
}
