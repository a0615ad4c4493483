//! For each rule a ledger in which only it is broken; and the faults that explain what else would be wrong.

use std::time::Duration;

use rstest::rstest;

use super::{Rule, violations};
use crate::chaos::fault::{Breakage, Fault};
use crate::chaos::ledger::{Answered, End, Ledger, Sent, Start, Time};
use crate::chaos::plan::{Fate, Job, Source};

const DEADLINE: Duration = Duration::from_secs(60);

fn at(seconds: u64) -> Time {
    Duration::from_secs(100 + seconds)
}

fn job(id: &str) -> Job {
    let fate = Fate::Passes(Duration::ZERO);
    Job { id: id.to_owned(), fate, source: Source::S3, version: 'b', deadline: DEADLINE }
}

fn answer() -> Answered {
    Answered {
        at: at(2),
        client: 0,
        code: 200,
        reason: "ok".to_owned(),
        wrote: Some("one".to_owned()),
        worker: Some("chaos-0".to_owned()),
        attempt: Some(1),
    }
}

fn error(code: u16, reason: &str) -> Answered {
    Answered { code, reason: reason.to_owned(), wrote: None, ..answer() }
}

fn start(seconds: u64, seat: usize) -> Start {
    Start {
        at: at(seconds),
        seat,
        id: "one".to_owned(),
        epoch: "e".to_owned(),
        token: format!("e-{seconds}"),
        attempt: 1,
        end: Some((at(seconds), End::Result)),
    }
}

/// A request at 0 s with these answers and starts.
fn ledger(answers: Vec<Answered>, starts: Vec<Start>) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.sent(&job("one"), Sent { at: at(0), client: 0 });
    answers.into_iter().for_each(|answer| ledger.answered("one", answer));
    ledger.add_starts(starts);
    ledger
}

fn well() -> Ledger {
    ledger(vec![answer()], vec![start(1, 0)])
}

fn trouble(mut ledger: Ledger, fault: Fault, from: u64, to: u64) -> Ledger {
    ledger.begins(fault, at(from));
    ledger.ends(fault, at(to));
    ledger
}

fn rules(ledger: &Ledger) -> Vec<Rule> {
    violations(ledger).into_iter().map(|violation| violation.rule).collect()
}

#[test]
fn a_job_that_ran_and_was_answered_is_well() {
    assert_eq!(rules(&well()), []);
}

#[rstest]
#[case::dropped(ledger(vec![], vec![start(1, 0)]), Rule::Answered)]
#[case::twice(ledger(vec![answer(), answer()], vec![start(1, 0)]), Rule::AnsweredOnce)]
#[case::anothers_client(ledger(vec![Answered { client: 1, ..answer() }], vec![start(1, 0)]), Rule::RightClient)]
#[case::anothers_content(
    ledger(vec![Answered { wrote: Some("two".to_owned()), ..answer() }], vec![start(1, 0)]),
    Rule::OwnContent
)]
#[case::no_content(ledger(vec![Answered { wrote: None, ..answer() }], vec![start(1, 0)]), Rule::OwnContent)]
#[case::late(ledger(vec![Answered { at: at(62), ..answer() }], vec![start(1, 0)]), Rule::InTime)]
#[case::failed(ledger(vec![error(513, "exit_code")], vec![start(1, 0)]), Rule::RightVerdict)]
#[case::no_worker(ledger(vec![error(503, "no_worker")], vec![]), Rule::RightVerdict)]
#[case::draining(ledger(vec![error(503, "draining")], vec![]), Rule::RightVerdict)]
#[case::worker_lost(ledger(vec![error(504, "worker_lost")], vec![start(1, 0)]), Rule::RightVerdict)]
#[case::unloaded(ledger(vec![error(505, "not_deployed")], vec![]), Rule::RightVerdict)]
#[case::poison(ledger(vec![error(510, "poison")], vec![start(1, 0)]), Rule::RightVerdict)]
#[case::not_pulled(ledger(vec![error(511, "pull_failed")], vec![]), Rule::RightVerdict)]
#[case::not_fetched(ledger(vec![error(512, "download")], vec![start(1, 0)]), Rule::RightVerdict)]
#[case::not_mounted(ledger(vec![error(512, "mount")], vec![start(1, 0)]), Rule::RightVerdict)]
#[case::never_ran(ledger(vec![answer()], vec![]), Rule::Ran)]
#[case::ran_elsewhere(ledger(vec![answer()], vec![start(1, 1)]), Rule::Ran)]
#[case::a_third_attempt(ledger(vec![answer()], vec![Start { attempt: 3, ..start(1, 0) }]), Rule::Attempts)]
#[case::after_its_answer(ledger(vec![Answered { at: at(0), ..answer() }], vec![start(1, 0)]), Rule::OverIsOver)]
fn a_broken_rule_is_found(#[case] ledger: Ledger, #[case] rule: Rule) {
    assert_eq!(rules(&ledger), [rule]);
}

#[test]
fn an_answer_or_a_run_that_nobody_asked_for_is_found() {
    let mut stray = well();
    stray.answered("two", answer());
    assert_eq!(rules(&stray), [Rule::AnsweredOnce]);
    let mut run = well();
    run.add_starts(vec![Start { id: "two".to_owned(), ..start(1, 0) }]);
    assert_eq!(rules(&run), [Rule::Attempts]);
}

#[test]
fn a_job_that_runs_on_two_workers_at_once_is_found_unless_one_was_lost() {
    let second = Start { attempt: 2, ..start(9, 1) };
    let twice = ledger(vec![Answered { at: at(10), ..answer() }], vec![start(1, 0), second]);
    assert_eq!(rules(&twice), [Rule::OneAtATime]);
    for fault in [Fault::KillWorker(0), Fault::FreezeWorker(0), Fault::Cut(0), Fault::KillRouter] {
        assert_eq!(rules(&trouble(twice.clone(), fault, 4, 5)), [], "{fault:?}");
    }
    for fault in [Fault::KillWorker(2), Fault::BreakS3(Breakage::Reset), Fault::Redeploy('b')] {
        assert_eq!(rules(&trouble(twice.clone(), fault, 4, 5)), [Rule::OneAtATime], "{fault:?}");
    }
}

#[test]
fn an_attempt_that_runs_twice_is_found_unless_it_was_given_back() {
    let first = Start { end: Some((at(1), End::GivenBack)), ..start(1, 0) };
    let (answer, second) =
        (Answered { at: at(3), worker: Some("chaos-1".to_owned()), ..answer() }, start(2, 1));
    assert_eq!(rules(&ledger(vec![answer.clone()], vec![first, second.clone()])), []);
    let twice = ledger(vec![answer], vec![start(1, 0), second]);
    assert_eq!(rules(&twice), [Rule::Attempts, Rule::OneAtATime]);
    // Its worker died before it could say that it had the job.
    assert_eq!(rules(&trouble(twice, Fault::KillWorker(0), 1, 2)), []);
}

#[rstest]
#[case(503, "no_worker", Fault::KillWorker(0), Fault::BreakS3(Breakage::Stall))]
#[case(504, "worker_lost", Fault::FreezeWorker(1), Fault::Redeploy('c'))]
#[case(505, "not_deployed", Fault::Redeploy('b'), Fault::Redeploy('c'))]
#[case(510, "canary_failed", Fault::FillDisk(0), Fault::KillWorker(0))]
#[case(511, "pull_failed", Fault::BreakRegistry(Breakage::Reset), Fault::KillRouter)]
#[case(512, "download", Fault::BreakS3(Breakage::Status(500)), Fault::Cut(0))]
#[case(512, "mount", Fault::FillDisk(1), Fault::BreakS3(Breakage::Reset))]
fn a_fault_explains_its_own_verdicts_only(
    #[case] code: u16,
    #[case] reason: &str,
    #[case] cause: Fault,
    #[case] other: Fault,
) {
    let failed = || ledger(vec![error(code, reason)], vec![]);
    assert_eq!(rules(&trouble(failed(), cause, 0, 1)), []);
    assert_eq!(rules(&trouble(failed(), other, 0, 1)), [Rule::RightVerdict]);
    // Long over, or not there yet.
    let mut early = failed();
    early.troubles.push(crate::chaos::ledger::Trouble { fault: cause, from: at(0) / 4, to: Some(at(0) / 2) });
    assert_eq!(rules(&early), [Rule::RightVerdict]);
    assert_eq!(rules(&trouble(failed(), cause, 3, 4)), [Rule::RightVerdict]);
}

#[test]
fn what_was_sent_again_may_be_answered_so_much_later() {
    let mut again = ledger(vec![Answered { at: at(62), ..answer() }], vec![start(1, 0)]);
    again.sent(&job("one"), Sent { at: at(30), client: 0 });
    assert_eq!(rules(&again), []);
}

#[test]
fn what_is_left_at_rest_is_found() {
    let mut left = well();
    left.complaints.push("a mount".to_owned());
    assert_eq!(rules(&left), [Rule::AtRest]);
}
