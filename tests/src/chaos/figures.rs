//! Figures of a run.

use std::fmt;
use std::time::Duration;

use super::fault::{Fault, Kind};
use super::ledger::{Ledger, Start, Time, Trouble};

/// Times that were measured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread(Vec<Duration>);

impl Spread {
    /// Of these.
    #[must_use]
    pub fn of(times: impl IntoIterator<Item = Duration>) -> Self {
        let mut times: Vec<Duration> = times.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }

    /// The one in the middle; `None` if nothing was measured.
    #[must_use]
    pub fn median(&self) -> Option<Duration> {
        self.0.get(self.0.len() / 2).copied()
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.first(), self.median(), self.0.last()) {
            (Some(least), Some(median), Some(most)) => write!(
                f,
                "{} | {} | {} | {}",
                self.0.len(),
                least.as_millis(),
                median.as_millis(),
                most.as_millis()
            ),
            _ => f.write_str("0 | – | – | –"),
        }
    }
}

/// What is told of a run.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Requests.
    pub jobs: usize,
    /// Requests that were sent again after a death of the router.
    pub sent_again: usize,
    /// Containers started.
    pub runs: usize,
    /// Of them second attempts.
    pub redeliveries: usize,
    /// Answers by status code and reason.
    pub verdicts: Vec<(String, usize)>,
    /// Faults by kind.
    pub faults: Vec<(Kind, usize)>,
    /// From a worker's death to the start of its job elsewhere, under load.
    pub killed_under_load: Spread,
    /// The same while slots were free.
    pub killed: Spread,
    /// From a worker's freeze to the start of its job elsewhere, under load.
    pub frozen_under_load: Spread,
    /// The same while slots were free.
    pub frozen: Spread,
    /// From the router's start to its knowing every job in hand.
    pub known: Spread,
}

impl Figures {
    /// Of a run whose faults were alone from `quiet` on.
    #[must_use]
    pub fn of(ledger: &Ledger, quiet: Time, known: Vec<Duration>) -> Self {
        let starts = || ledger.starts.values().flatten();
        let mut verdicts = std::collections::BTreeMap::new();
        for answer in ledger.records.values().flat_map(|record| &record.answers) {
            *verdicts.entry(format!("{} `{}`", answer.code, answer.reason)).or_default() += 1;
        }
        let gaps = |kind, after| {
            let (troubles, starts) = (&ledger.troubles, &ledger.starts);
            let of_kind =
                move |trouble: &&Trouble| trouble.fault.kind() == kind && (trouble.from >= quiet) == after;
            let gaps = troubles
                .iter()
                .filter(of_kind)
                .flat_map(move |trouble| starts.values().filter_map(move |starts| gap(trouble, starts)));
            Spread::of(gaps)
        };
        Self {
            jobs: ledger.records.len(),
            sent_again: ledger.records.values().filter(|record| record.sent.len() > 1).count(),
            runs: starts().count(),
            redeliveries: starts().filter(|start| start.attempt > 1).count(),
            verdicts: verdicts.into_iter().collect(),
            faults: Kind::ALL.iter().map(|kind| (*kind, ledger.count(*kind))).collect(),
            killed_under_load: gaps(Kind::WorkerKilled, false),
            killed: gaps(Kind::WorkerKilled, true),
            frozen_under_load: gaps(Kind::WorkerFrozen, false),
            frozen: gaps(Kind::WorkerFrozen, true),
            known: Spread::of(known),
        }
    }
}

/// How long after a fault of its worker a job, of which these are the runs, started elsewhere.
fn gap(trouble: &Trouble, starts: &[Start]) -> Option<Duration> {
    let (Fault::KillWorker(seat) | Fault::FreezeWorker(seat)) = trouble.fault else { return None };
    let ran = |start: &Start| {
        start.seat == seat && start.at < trouble.from && start.end.is_none_or(|(at, _)| at > trouble.from)
    };
    let index = starts.iter().position(ran)?;
    let next = starts.iter().skip(index + 1).find(|start| start.seat != seat && start.at > trouble.from)?;
    (next.attempt > 1).then(|| next.at.saturating_sub(trouble.from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        let spread = Spread::of([5, 1, 9].map(Duration::from_millis));
        assert_eq!(spread.to_string(), "3 | 1 | 5 | 9");
        assert_eq!(Spread::default().to_string(), "0 | – | – | –");
    }

    #[test]
    fn a_gap_is_from_the_fault_to_the_next_attempt_elsewhere() {
        let start = |millis, seat, attempt| Start {
            at: Duration::from_millis(millis),
            seat,
            id: "one".to_owned(),
            epoch: "e".to_owned(),
            token: String::new(),
            attempt,
            end: None,
        };
        let trouble =
            |seat| Trouble { fault: Fault::KillWorker(seat), from: Duration::from_millis(50), to: None };
        let starts = [start(10, 0, 1), start(70, 1, 2)];
        assert_eq!(gap(&trouble(0), &starts), Some(Duration::from_millis(20)));
        assert_eq!(gap(&trouble(1), &starts), None);
        let mut ended = starts;
        ended[0].end = Some((Duration::from_millis(40), super::super::ledger::End::Result));
        assert_eq!(gap(&trouble(0), &ended), None);
    }
}
