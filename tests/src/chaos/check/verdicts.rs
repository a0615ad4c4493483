//! How a job ended: as its container did, or as a fault explains.

use super::{HASTE, Rule};
use crate::chaos::fault::{Fault, Kind};
use crate::chaos::ledger::{Answered, Ledger, Record, Start};
use crate::chaos::plan::{Fate, Source};

pub(super) fn broken(record: &Record, starts: &[Start], ledger: &Ledger) -> Vec<Rule> {
    let wrong = |answer: &&Answered| !is_own(record, answer) && !is_explained(record, answer, starts, ledger);
    record.answers.iter().filter(wrong).map(|_| Rule::RightVerdict).collect()
}

fn is_own(record: &Record, answer: &Answered) -> bool {
    let own = match record.job.fate {
        Fate::Passes(_) => (200, "ok"),
        Fate::Fails => (513, "exit_code"),
        Fate::Omits => (514, "missing"),
    };
    // An answer that went well names no reason.
    (answer.code, answer.reason.as_str()) == own || answer.code == 200 && own.0 == 200
}

fn is_explained(record: &Record, answer: &Answered, starts: &[Start], ledger: &Ledger) -> bool {
    let from = record.sent.iter().map(|sent| sent.at).min().unwrap_or(answer.at);
    let faults: Vec<Fault> = ledger.felt(from, answer.at).collect();
    let any = |kinds: &[Kind]| faults.iter().any(|fault| kinds.contains(&fault.kind()));
    let parted = faults.iter().any(|fault| fault.kind().parts());
    let version = faults.contains(&Fault::Redeploy(record.job.version));
    let s3 = record.job.source == Source::S3 && any(&[Kind::S3Broken]);
    let disk = any(&[Kind::DiskFull]);
    match (answer.code, answer.reason.as_str()) {
        (503, "no_worker") => parted,
        (504, _) => record.job.deadline < HASTE || parted || s3 || version || any(&[Kind::RegistryBroken]),
        (505, _) => version,
        (510, "poison") => {
            let lost = |start: &&Start| ledger.parted(start.seat, start.at, answer.at);
            starts.iter().filter(lost).count() >= 2
        }
        (510, "canary_failed") => disk,
        (511, _) => version || disk || any(&[Kind::RegistryBroken]),
        (512, "download") => s3 || disk || any(&[Kind::WorkerFrozen]),
        (512, _) => disk,
        _ => false,
    }
}
