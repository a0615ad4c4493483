//! For each rule a history that breaks only this rule, and the faults that explain what would otherwise be wrong.

use std::time::Duration;

use rstest::rstest;

use super::{Rule, violations};
use crate::chaos::fault::{Breakage, Fault};
use crate::chaos::history::{History, JobEnd, JobStart, ReceivedAnswer, Sent, Time};
use crate::chaos::plan::{Behavior, Job, Source};

const DEADLINE: Duration = Duration::from_secs(60);

fn at(seconds: u64) -> Time {
    Duration::from_secs(100 + seconds)
}

fn job(id: &str) -> Job {
    let behavior = Behavior::WritesResult(Duration::ZERO);
    Job { id: id.to_owned(), behavior, source: Source::S3, version: 'b', deadline: DEADLINE }
}

fn answer() -> ReceivedAnswer {
    ReceivedAnswer {
        at: at(2),
        client: 0,
        code: 200,
        reason: "ok".to_owned(),
        wrote: Some("one".to_owned()),
        worker: Some("chaos-0".to_owned()),
        attempt: Some(1),
    }
}

fn error(code: u16, reason: &str) -> ReceivedAnswer {
    ReceivedAnswer { code, reason: reason.to_owned(), wrote: None, ..answer() }
}

fn start(seconds: u64, node: usize) -> JobStart {
    JobStart {
        at: at(seconds),
        node,
        id: "one".to_owned(),
        epoch: "e".to_owned(),
        token: format!("e-{seconds}"),
        attempt: 1,
        end: Some((at(seconds), JobEnd::Result)),
    }
}

/// A request at 0 s with these answers and starts.
fn history(answers: Vec<ReceivedAnswer>, starts: Vec<JobStart>) -> History {
    let mut history = History::default();
    history.request_sent(&job("one"), Sent { at: at(0), client: 0 });
    answers.into_iter().for_each(|answer| history.answer_received("one", answer));
    history.add_starts(starts);
    history
}

fn correct() -> History {
    history(vec![answer()], vec![start(1, 0)])
}

fn with_fault(mut history: History, fault: Fault, from: u64, to: u64) -> History {
    history.fault_began(fault, at(from));
    history.fault_ended(fault, at(to));
    history
}

fn rules(history: &History) -> Vec<Rule> {
    violations(history).into_iter().map(|violation| violation.rule).collect()
}

#[test]
fn answered_job_breaks_no_rule() {
    assert_eq!(rules(&correct()), []);
}

#[rstest]
#[case::dropped(history(vec![], vec![start(1, 0)]), Rule::Answered)]
#[case::twice(history(vec![answer(), answer()], vec![start(1, 0)]), Rule::AnsweredOnce)]
#[case::anothers_client(history(vec![ReceivedAnswer { client: 1, ..answer() }], vec![start(1, 0)]), Rule::RightClient)]
#[case::anothers_content(
    history(vec![ReceivedAnswer { wrote: Some("two".to_owned()), ..answer() }], vec![start(1, 0)]),
    Rule::OwnContent
)]
#[case::no_content(history(vec![ReceivedAnswer { wrote: None, ..answer() }], vec![start(1, 0)]), Rule::OwnContent)]
#[case::late(history(vec![ReceivedAnswer { at: at(62), ..answer() }], vec![start(1, 0)]), Rule::InTime)]
#[case::failed(history(vec![error(513, "exit_code")], vec![start(1, 0)]), Rule::RightVerdict)]
#[case::no_worker(history(vec![error(503, "no_worker")], vec![]), Rule::RightVerdict)]
#[case::draining(history(vec![error(503, "draining")], vec![]), Rule::RightVerdict)]
#[case::worker_lost(history(vec![error(504, "worker_lost")], vec![start(1, 0)]), Rule::RightVerdict)]
#[case::unloaded(history(vec![error(505, "not_deployed")], vec![]), Rule::RightVerdict)]
#[case::poison(history(vec![error(510, "poison")], vec![start(1, 0)]), Rule::RightVerdict)]
#[case::not_pulled(history(vec![error(511, "pull_failed")], vec![]), Rule::RightVerdict)]
#[case::not_fetched(history(vec![error(512, "download")], vec![start(1, 0)]), Rule::RightVerdict)]
#[case::not_mounted(history(vec![error(512, "mount")], vec![start(1, 0)]), Rule::RightVerdict)]
#[case::never_ran(history(vec![answer()], vec![]), Rule::Ran)]
#[case::ran_elsewhere(history(vec![answer()], vec![start(1, 1)]), Rule::Ran)]
#[case::a_third_attempt(history(vec![answer()], vec![JobStart { attempt: 3, ..start(1, 0) }]), Rule::Attempts)]
#[case::after_its_answer(history(vec![ReceivedAnswer { at: at(0), ..answer() }], vec![start(1, 0)]), Rule::NoRunAfterAnswer)]
fn broken_rule_is_found(#[case] history: History, #[case] rule: Rule) {
    assert_eq!(rules(&history), [rule]);
}

#[test]
fn answer_or_run_without_request_is_found() {
    let mut stray = correct();
    stray.answer_received("two", answer());
    assert_eq!(rules(&stray), [Rule::AnsweredOnce]);
    let mut run = correct();
    run.add_starts(vec![JobStart { id: "two".to_owned(), ..start(1, 0) }]);
    assert_eq!(rules(&run), [Rule::Attempts]);
}

#[test]
fn second_run_needs_a_lost_worker() {
    let second = JobStart { attempt: 2, ..start(9, 1) };
    let twice = history(vec![ReceivedAnswer { at: at(10), ..answer() }], vec![start(1, 0), second]);
    assert_eq!(rules(&twice), [Rule::OneAtATime]);
    for fault in [Fault::KillWorker(0), Fault::FreezeWorker(0), Fault::Cut(0), Fault::KillRouter] {
        assert_eq!(rules(&with_fault(twice.clone(), fault, 4, 5)), [], "{fault:?}");
    }
    for fault in [Fault::KillWorker(2), Fault::BreakS3(Breakage::Reset), Fault::Redeploy('b')] {
        assert_eq!(rules(&with_fault(twice.clone(), fault, 4, 5)), [Rule::OneAtATime], "{fault:?}");
    }
}

#[test]
fn repeated_attempt_must_have_been_given_back() {
    let first = JobStart { end: Some((at(1), JobEnd::GivenBack)), ..start(1, 0) };
    let answer = ReceivedAnswer { at: at(3), worker: Some("chaos-1".to_owned()), ..answer() };
    let second = start(2, 1);
    assert_eq!(rules(&history(vec![answer.clone()], vec![first, second.clone()])), []);
    let twice = history(vec![answer], vec![start(1, 0), second]);
    assert_eq!(rules(&twice), [Rule::Attempts, Rule::OneAtATime]);
    // Its worker died before it could say that it had the job.
    assert_eq!(rules(&with_fault(twice, Fault::KillWorker(0), 1, 2)), []);
}

#[rstest]
#[case(503, "no_worker", Fault::KillWorker(0), Fault::BreakS3(Breakage::Stall))]
#[case(504, "worker_lost", Fault::FreezeWorker(1), Fault::Redeploy('c'))]
#[case(505, "not_deployed", Fault::Redeploy('b'), Fault::Redeploy('c'))]
#[case(510, "canary_failed", Fault::FillDisk(0), Fault::KillWorker(0))]
#[case(511, "pull_failed", Fault::BreakRegistry(Breakage::Reset), Fault::KillRouter)]
#[case(512, "download", Fault::BreakS3(Breakage::Status(500)), Fault::Cut(0))]
#[case(512, "mount", Fault::FillDisk(1), Fault::BreakS3(Breakage::Reset))]
fn fault_explains_its_own_verdicts_only(
    #[case] code: u16,
    #[case] reason: &str,
    #[case] cause: Fault,
    #[case] other: Fault,
) {
    let failed = || history(vec![error(code, reason)], vec![]);
    assert_eq!(rules(&with_fault(failed(), cause, 0, 1)), []);
    assert_eq!(rules(&with_fault(failed(), other, 0, 1)), [Rule::RightVerdict]);
    // The fault ended long before, or begins only afterwards.
    let mut early = failed();
    early.faults.push(crate::chaos::history::InjectedFault {
        fault: cause,
        from: at(0) / 4,
        to: Some(at(0) / 2),
    });
    assert_eq!(rules(&early), [Rule::RightVerdict]);
    assert_eq!(rules(&with_fault(failed(), cause, 3, 4)), [Rule::RightVerdict]);
}

#[test]
fn resending_extends_the_deadline() {
    let mut again = history(vec![ReceivedAnswer { at: at(62), ..answer() }], vec![start(1, 0)]);
    again.request_sent(&job("one"), Sent { at: at(30), client: 0 });
    assert_eq!(rules(&again), []);
}

#[test]
fn noted_problem_is_found() {
    let mut left = correct();
    left.problems.push("a mount".to_owned());
    assert_eq!(rules(&left), [Rule::NoProblem]);
}
