//! What is asked, by what the router says.

use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};
use trackyard_protocol::answer::Answer;
use trackyard_protocol::build::BuildState;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::reason::Reason;

use super::book::{Book, Question};
use super::{Order, Progress};

const TAG: &str = "git-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn order(attempt: &str) -> Order {
    Order {
        uid: "u".to_owned(),
        attempt: attempt.to_owned(),
        channel: Channel::TestRunners,
        track: "ruby".to_owned(),
        git_reference: "main".to_owned(),
    }
}

fn answer(reason: Reason, response: &Value, context: &Value) -> Answer {
    let status = json!({"ok": reason.is_ok(), "status_code": reason.code(), "message": "said", "reason": reason.as_str()});
    serde_json::from_value(json!({"status": status, "response": response, "context": context})).unwrap()
}

fn built() -> Answer {
    let response = json!({"status": "built", "message": "", "track": "ruby", "image": "r/ruby", "image_tag": TAG,
                          "git_tag": "main", "digest": "sha256:0", "logs": ""});
    answer(Reason::Ok, &response, &json!({}))
}

/// A book with one order that was submitted, and the time.
fn submitted() -> (Book, Instant) {
    let (mut book, now) = (Book::default(), Instant::now());
    assert_eq!(book.order(order(""), now), Some(Question::Submit(order(""))));
    (book, now)
}

fn progress(book: &Book) -> Progress {
    book.seen()["u"].1.clone()
}

const STEP: Duration = Duration::from_secs(3);

#[test]
fn a_build_is_submitted_once_and_asked_after_until_it_is_answered() {
    let (mut book, now) = submitted();
    assert_eq!(book.order(order(""), now), None);
    assert_eq!((book.due(now), book.is_idle()), (vec![], false));
    for (step, state) in [(1, BuildState::Waiting), (2, BuildState::Running)] {
        assert_eq!(book.due(now + STEP * step), [Question::Poll(order(""))]);
        book.polled("u", state);
    }
    assert_eq!(progress(&book), Progress::Running);
    book.answered("u", &built(), now);
    assert_eq!(progress(&book), Progress::Built { version: TAG.to_owned() });
    assert_eq!((book.due(now + STEP * 99), book.is_idle()), (vec![], true));
    // Said twice, or too late, it changes nothing.
    book.polled("u", BuildState::Running);
    book.answered("u", &answer(Reason::BuildFailed, &json!(null), &json!({})), now);
    assert_eq!(progress(&book), Progress::Built { version: TAG.to_owned() });
}

#[test]
fn a_build_that_the_router_does_not_know_twice_in_a_row_is_submitted_again() {
    let (mut book, mut now) = submitted();
    let mut step = |book: &mut Book| {
        now += STEP;
        book.due(now)
    };
    assert_eq!(step(&mut book), [Question::Poll(order(""))]);
    book.polled("u", BuildState::None);
    assert_eq!(step(&mut book), [Question::Poll(order(""))]);
    book.polled("u", BuildState::Running);
    book.polled("u", BuildState::None);
    assert_eq!(step(&mut book), [Question::Poll(order(""))]);
    book.polled("u", BuildState::None);
    assert_eq!(step(&mut book), [Question::Submit(order(""))]);
    assert_eq!(step(&mut book), [Question::Poll(order(""))]);
}

#[test]
fn a_new_connection_gets_every_build_that_has_not_ended() {
    let (mut book, now) = submitted();
    book.reconnected(now);
    assert_eq!(book.due(now), [Question::Submit(order(""))]);
    book.answered("u", &built(), now);
    book.reconnected(now);
    assert_eq!(book.due(now + STEP), []);
}

#[test]
fn what_cannot_be_done_now_is_tried_again_after_ever_longer_pauses() {
    let (mut book, mut now) = submitted();
    let mut pauses = Vec::new();
    for _ in 0..9 {
        book.answered("u", &answer(Reason::NoWorker, &json!(null), &json!({})), now);
        assert_eq!(progress(&book), Progress::Postponed { why: "503 no_worker: said".to_owned() });
        let begun = now;
        while book.due(now) != [Question::Submit(order(""))] {
            now += Duration::from_secs(1);
            assert_eq!(book.order(order(""), now), None);
        }
        pauses.push((now - begun).as_secs());
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
}

#[test]
fn what_nobody_wants_any_more_is_not_asked_for_again() {
    let (mut book, now) = submitted();
    book.answered("u", &answer(Reason::NoWorker, &json!(null), &json!({})), now);
    assert_eq!(book.due(now + STEP * 2), [Question::Submit(order(""))]);
    book.answered("u", &answer(Reason::NoWorker, &json!(null), &json!({})), now + STEP * 2);
    assert_eq!((book.due(now + Duration::from_secs(60)), book.is_idle()), (vec![], true));
    assert_eq!(book.order(order(""), now + Duration::from_secs(61)), Some(Question::Submit(order(""))));
}

#[rstest]
#[case::of_the_repository(Reason::BuildFailed, false)]
#[case::no_such_branch(Reason::BadReference, false)]
#[case::not_fit(Reason::SmokeCheck, false)]
#[case::too_long(Reason::WallTime, false)]
#[case::no_such_track(Reason::BadField, false)]
#[case::no_builder(Reason::NoWorker, true)]
#[case::host_away(Reason::Fetch, true)]
#[case::builder_lost(Reason::WorkerLost, true)]
#[case::builder_leaves(Reason::WorkerDraining, true)]
#[case::key_not_known_yet(Reason::Forbidden, true)]
fn which_endings_are_for_good(#[case] reason: Reason, #[case] passes: bool) {
    let (mut book, now) = submitted();
    book.answered("u", &answer(reason, &json!(null), &json!({})), now);
    assert_eq!(matches!(progress(&book), Progress::Postponed { .. }), passes, "{:?}", progress(&book));
    assert_eq!(matches!(progress(&book), Progress::Failed { .. }), !passes);
}

#[test]
fn a_failure_is_told_with_the_end_of_its_log_and_another_attempt_begins_anew() {
    let (mut book, now) = submitted();
    let logs: String = (0..100).map(|line| format!("line {line}\n")).collect();
    book.answered("u", &answer(Reason::BuildFailed, &json!(null), &json!({"logs": logs})), now);
    let Progress::Failed { why } = progress(&book) else { unreachable!("{:?}", progress(&book)) };
    assert!(why.starts_with("513 build_failed: said\nline 80\n") && why.ends_with("line 99"), "{why}");
    assert_eq!(book.order(order(""), now), None);
    assert_eq!(book.order(order("again"), now), Some(Question::Submit(order("again"))));
    assert_eq!(book.seen()["u"], ("again".to_owned(), Progress::Asked));
}

#[test]
fn a_log_of_one_endless_line_is_bounded_and_what_has_ended_is_forgotten() {
    let (mut book, now) = submitted();
    let logs = "ü".repeat(1 << 20);
    book.answered("u", &answer(Reason::BuildFailed, &json!(null), &json!({"logs": logs})), now);
    let Progress::Failed { why } = progress(&book) else { unreachable!("{:?}", progress(&book)) };
    assert!(why.len() < 10_000);
    let other = Order { uid: "v".to_owned(), ..order("") };
    book.order(other, now + Duration::from_secs(3600));
    assert_eq!(book.seen().keys().collect::<Vec<_>>(), ["v"]);
}
