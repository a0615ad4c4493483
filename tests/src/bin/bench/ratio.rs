//! A ratio of two measurements that were made in turn, over several rounds.

use std::fmt;

/// Median, least and largest of the rounds' ratios.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ratio {
    median: f64,
    least: f64,
    largest: f64,
}

impl Ratio {
    /// The ratios of the rounds; at least one.
    pub(crate) fn of(rounds: impl Iterator<Item = f64>) -> Self {
        let mut rounds: Vec<f64> = rounds.collect();
        rounds.sort_by(f64::total_cmp);
        Self { median: rounds[rounds.len() / 2], least: rounds[0], largest: rounds[rounds.len() - 1] }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} [{:.2} to {:.2}]", self.median, self.least, self.largest)
    }
}
