//! Checks that each job ended as its container did, or as a fault explains.

use super::{Rule, SHORT_DEADLINE};
use crate::chaos::fault::{Fault, FaultKind};
use crate::chaos::history::{History, JobRecord, JobStart, ReceivedAnswer};
use crate::chaos::plan::{Behavior, Source};

pub(super) fn broken(record: &JobRecord, starts: &[JobStart], history: &History) -> Vec<Rule> {
    let wrong = record
        .answers
        .iter()
        .filter(|answer| !is_own(record, answer) && !is_explained(record, answer, starts, history));
    wrong.map(|_| Rule::RightVerdict).collect()
}

fn is_own(record: &JobRecord, answer: &ReceivedAnswer) -> bool {
    let own = match record.job.behavior {
        Behavior::WritesResult(_) => (200, "ok"),
        Behavior::Fails => (513, "exit_code"),
        Behavior::WritesNothing => (514, "missing"),
    };
    // The answer to a job that succeeded names no reason.
    (answer.code, answer.reason.as_str()) == own || answer.code == 200 && own.0 == 200
}

fn is_explained(record: &JobRecord, answer: &ReceivedAnswer, starts: &[JobStart], history: &History) -> bool {
    let from = record.sent.iter().map(|sent| sent.at).min().unwrap_or(answer.at);
    let faults: Vec<Fault> = history.active_faults(from, answer.at).collect();
    let any = |kinds: &[FaultKind]| faults.iter().any(|fault| kinds.contains(&fault.kind()));
    let disconnected = faults.iter().any(|fault| fault.kind().disconnects());
    let version = faults.contains(&Fault::Redeploy(record.job.version));
    let s3 = record.job.source == Source::S3 && any(&[FaultKind::S3Broken]);
    let disk = any(&[FaultKind::DiskFull]);
    match (answer.code, answer.reason.as_str()) {
        (503, "no_worker") => disconnected,
        (504, _) => {
            record.job.deadline < SHORT_DEADLINE
                || disconnected
                || s3
                || version
                || any(&[FaultKind::RegistryBroken])
        }
        (505, _) => version,
        (510, "poison") => {
            let lost =
                starts.iter().filter(|start| history.was_disconnected(start.node, start.at, answer.at));
            lost.count() >= 2
        }
        (510, "canary_failed") => disk,
        (511, _) => version || disk || any(&[FaultKind::RegistryBroken]),
        (512, "download") => s3 || disk || any(&[FaultKind::WorkerFrozen]),
        (512, _) => disk,
        _ => false,
    }
}
