//! The plan of a run: jobs and faults, all derived from a seed.

mod faults;

use std::time::Duration;

use super::random::Random;

pub use faults::PlannedFault;

/// The version that stays deployed; the others are unloaded and deployed again.
pub const STEADY: char = 'a';
/// The versions that are unloaded and deployed again.
pub const CHANGING: [char; 2] = ['b', 'c'];
/// Deadline of most jobs.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(60);

/// What a job's container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behavior {
    /// It writes a result that names the job, after this time.
    WritesResult(Duration),
    /// It ends with an error.
    Fails,
    /// It ends without writing a result.
    WritesNothing,
}

/// Where a submission is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// In a bucket.
    S3,
    /// In a directory.
    Dir,
}

/// A job as it will be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The client's id.
    pub id: String,
    /// What its container does.
    pub behavior: Behavior,
    /// Where its submission is.
    pub source: Source,
    /// The version's digit.
    pub version: char,
    /// Its `deadline_ms`.
    pub deadline: Duration,
}

impl Job {
    /// Returns the script that the job submits.
    #[must_use]
    pub fn script(&self) -> String {
        match self.behavior {
            Behavior::WritesResult(after) => format!(
                "sleep {}; echo '{{\"id\":\"{}\"}}' > /mnt/exercism-iteration/results.json",
                after.as_secs_f64(),
                self.id
            ),
            Behavior::Fails => "exit 3".to_owned(),
            Behavior::WritesNothing => "true".to_owned(),
        }
    }
}

/// The jobs and faults of a run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Determines everything else.
    pub seed: u64,
    /// Number of workers.
    pub workers: usize,
}

impl Plan {
    /// Returns job number `number`.
    #[must_use]
    pub fn job(&self, number: usize) -> Job {
        let mut random = Random::new(self.seed, number as u64);
        let behavior = match random.below(100) {
            0..3 => Behavior::Fails,
            3..5 => Behavior::WritesNothing,
            5..20 => Behavior::WritesResult(random.millis(300, 2000)),
            _ => Behavior::WritesResult(Duration::ZERO),
        };
        let deadline = if random.below(100) < 4 { random.millis(100, 2500) } else { DEFAULT_DEADLINE };
        let source = if random.below(2) == 0 { Source::S3 } else { Source::Dir };
        let version = match random.below(10) {
            0 | 1 => changing(&mut random),
            _ => STEADY,
        };
        Job { id: format!("chaos-{}-{number}", self.seed), behavior, source, version, deadline }
    }
}

fn changing(random: &mut Random) -> char {
    CHANGING.get(random.index(CHANGING.len())).copied().unwrap_or(STEADY)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::chaos::fault::FaultKind;

    #[test]
    fn the_seed_determines_the_plan() {
        let plan = |seed| {
            let plan = Plan { seed, workers: 4 };
            let jobs: Vec<Job> = (0..50).map(|number| plan.job(number)).collect();
            (jobs, plan.faults().take(50).collect::<Vec<_>>())
        };
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn each_fault_kind_occurs_once_before_any_repeats() {
        for seed in 0..20 {
            let faults = Plan { seed, workers: 4 }.faults().take(FaultKind::ALL.len());
            let kinds: BTreeSet<FaultKind> = faults.map(|planned| planned.fault.kind()).collect();
            assert_eq!(kinds, FaultKind::ALL.into());
        }
    }
}
