//! The ratio of two measurements made in turn, over several rounds.

use std::fmt;

/// Median, minimum and maximum of the rounds' ratios.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ratio {
    median: f64,
    min: f64,
    max: f64,
}

impl Ratio {
    /// Summarizes the ratios of the rounds; there must be at least one.
    pub(crate) fn of(rounds: impl Iterator<Item = f64>) -> Self {
        let mut rounds: Vec<f64> = rounds.collect();
        rounds.sort_by(f64::total_cmp);
        Self { median: rounds[rounds.len() / 2], min: rounds[0], max: rounds[rounds.len() - 1] }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} [{:.2} to {:.2}]", self.median, self.min, self.max)
    }
}
