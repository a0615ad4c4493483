//! What is counted and measured in a run.

use std::fmt;
use std::time::Duration;

use super::fault::{Fault, FaultKind};
use super::history::{History, InjectedFault, JobStart, Time};

/// Measured times, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distribution(Vec<Duration>);

impl Distribution {
    /// Creates a distribution of these times.
    #[must_use]
    pub fn of(times: impl IntoIterator<Item = Duration>) -> Self {
        let mut times: Vec<Duration> = times.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }

    /// Returns the median; `None` if nothing was measured.
    #[must_use]
    pub fn median(&self) -> Option<Duration> {
        self.0.get(self.0.len() / 2).copied()
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.first(), self.median(), self.0.last()) {
            (Some(min), Some(median), Some(max)) => write!(
                f,
                "{} | {} | {} | {}",
                self.0.len(),
                min.as_millis(),
                median.as_millis(),
                max.as_millis()
            ),
            _ => f.write_str("0 | – | – | –"),
        }
    }
}

/// The measurements of a run.
#[derive(Debug, Clone, Default)]
pub struct Measurements {
    /// Number of jobs.
    pub jobs: usize,
    /// Jobs whose request was sent again after a death of the router.
    pub resent: usize,
    /// Containers started.
    pub runs: usize,
    /// Containers started for second attempts.
    pub redeliveries: usize,
    /// Answers by status code and reason.
    pub verdicts: Vec<(String, usize)>,
    /// Faults by kind.
    pub faults: Vec<(FaultKind, usize)>,
    /// From a worker's death to the start of its job elsewhere, under load.
    pub kill_recovery_under_load: Distribution,
    /// The same while slots were free.
    pub kill_recovery: Distribution,
    /// From a worker's freeze to the start of its job elsewhere, under load.
    pub freeze_recovery_under_load: Distribution,
    /// The same while slots were free.
    pub freeze_recovery: Distribution,
    /// From a start of the router until it knows every running job.
    pub router_restart: Distribution,
}

impl Measurements {
    /// Evaluates a run in which single faults were measured from `single_faults_from` on.
    #[must_use]
    pub fn of(history: &History, single_faults_from: Time, restart_times: Vec<Duration>) -> Self {
        let starts = || history.starts.values().flatten();
        let mut verdicts = std::collections::BTreeMap::new();
        for answer in history.records.values().flat_map(|record| &record.answers) {
            *verdicts.entry(format!("{} `{}`", answer.code, answer.reason)).or_default() += 1;
        }
        let recovery = |kind, under_load| {
            let faults = history.faults.iter().filter(|injected| {
                injected.fault.kind() == kind && (injected.from < single_faults_from) == under_load
            });
            Distribution::of(faults.flat_map(|injected| {
                history.starts.values().filter_map(|starts| recovery_time(injected, starts))
            }))
        };
        Self {
            jobs: history.records.len(),
            resent: history.records.values().filter(|record| record.sent.len() > 1).count(),
            runs: starts().count(),
            redeliveries: starts().filter(|start| start.attempt > 1).count(),
            verdicts: verdicts.into_iter().collect(),
            faults: FaultKind::ALL.iter().map(|kind| (*kind, history.count(*kind))).collect(),
            kill_recovery_under_load: recovery(FaultKind::WorkerKilled, true),
            kill_recovery: recovery(FaultKind::WorkerKilled, false),
            freeze_recovery_under_load: recovery(FaultKind::WorkerFrozen, true),
            freeze_recovery: recovery(FaultKind::WorkerFrozen, false),
            router_restart: Distribution::of(restart_times),
        }
    }
}

/// Returns how long after a fault of its worker a job was started elsewhere; `starts` are the job's starts. `None` if
/// the fault did not concern the job.
fn recovery_time(injected: &InjectedFault, starts: &[JobStart]) -> Option<Duration> {
    let (Fault::KillWorker(node) | Fault::FreezeWorker(node)) = injected.fault else { return None };
    let index = starts.iter().position(|start| {
        start.node == node && start.at < injected.from && start.end.is_none_or(|(at, _)| at > injected.from)
    })?;
    let next = starts.iter().skip(index + 1).find(|start| start.node != node && start.at > injected.from)?;
    (next.attempt > 1).then(|| next.at.saturating_sub(injected.from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle_time() {
        let distribution = Distribution::of([5, 1, 9].map(Duration::from_millis));
        assert_eq!(distribution.to_string(), "3 | 1 | 5 | 9");
        assert_eq!(Distribution::default().to_string(), "0 | – | – | –");
    }

    #[test]
    fn recovery_lasts_until_the_next_attempt_elsewhere() {
        let start = |millis, node, attempt| JobStart {
            at: Duration::from_millis(millis),
            node,
            id: "one".to_owned(),
            epoch: "e".to_owned(),
            token: String::new(),
            attempt,
            end: None,
        };
        let injected = |node| InjectedFault {
            fault: Fault::KillWorker(node),
            from: Duration::from_millis(50),
            to: None,
        };
        let starts = [start(10, 0, 1), start(70, 1, 2)];
        assert_eq!(recovery_time(&injected(0), &starts), Some(Duration::from_millis(20)));
        assert_eq!(recovery_time(&injected(1), &starts), None);
        let mut ended = starts;
        ended[0].end = Some((Duration::from_millis(40), super::super::history::JobEnd::Result));
        assert_eq!(recovery_time(&injected(0), &ended), None);
    }
}
