//! The plan of a run: all of it follows from the seed.

mod strikes;

use std::time::Duration;

use super::random::Random;

pub use strikes::Strike;

/// The version that stays deployed; the others are unloaded and deployed again.
pub const STEADY: char = 'a';
/// The versions that come and go.
pub const CHANGING: [char; 2] = ['b', 'c'];
/// Of a job without haste.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a job's container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It writes a result that names the job, after so long.
    Passes(Duration),
    /// It ends with an error.
    Fails,
    /// It writes no result.
    Omits,
}

/// Where a submission is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A bucket.
    S3,
    /// A directory.
    Dir,
}

/// A job as it will be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The client's id.
    pub id: String,
    /// What its container does.
    pub fate: Fate,
    /// Where its submission is.
    pub source: Source,
    /// The version's digit.
    pub version: char,
    /// Its `deadline_ms`.
    pub deadline: Duration,
}

impl Job {
    /// The script that it submits.
    #[must_use]
    pub fn script(&self) -> String {
        match self.fate {
            Fate::Passes(after) => format!(
                "sleep {}; echo '{{\"id\":\"{}\"}}' > /mnt/exercism-iteration/results.json",
                after.as_secs_f64(),
                self.id
            ),
            Fate::Fails => "exit 3".to_owned(),
            Fate::Omits => "true".to_owned(),
        }
    }
}

/// The plan.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// All follows from this.
    pub seed: u64,
    /// How many workers there are.
    pub seats: usize,
}

impl Plan {
    /// Job number `number`.
    #[must_use]
    pub fn job(&self, number: usize) -> Job {
        let mut random = Random::new(self.seed, number as u64);
        let fate = match random.below(100) {
            0..3 => Fate::Fails,
            3..5 => Fate::Omits,
            5..20 => Fate::Passes(random.millis(300, 2000)),
            _ => Fate::Passes(Duration::ZERO),
        };
        let deadline = if random.below(100) < 4 { random.millis(100, 2500) } else { PATIENCE };
        let source = if random.below(2) == 0 { Source::S3 } else { Source::Dir };
        let version = match random.below(10) {
            0 | 1 => changing(&mut random),
            _ => STEADY,
        };
        Job { id: format!("chaos-{}-{number}", self.seed), fate, source, version, deadline }
    }
}

fn changing(random: &mut Random) -> char {
    CHANGING.get(random.index(CHANGING.len())).copied().unwrap_or(STEADY)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::chaos::fault::Kind;

    #[test]
    fn a_seed_gives_the_same_plan_and_another_seed_another() {
        let of = |seed| {
            let plan = Plan { seed, seats: 4 };
            let jobs: Vec<Job> = (0..50).map(|number| plan.job(number)).collect();
            (jobs, plan.strikes().take(50).collect::<Vec<_>>())
        };
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
    }

    #[test]
    fn each_kind_of_fault_comes_once_before_any_comes_again() {
        for seed in 0..20 {
            let strikes = Plan { seed, seats: 4 }.strikes().take(Kind::ALL.len());
            let kinds: BTreeSet<Kind> = strikes.map(|strike| strike.fault.kind()).collect();
            assert_eq!(kinds, Kind::ALL.into());
        }
    }
}
