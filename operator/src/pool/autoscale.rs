//! How many pods a pool that scales by itself has: as many as work off what waits within the time that it may wait. More
//! at once, fewer only when fewer would have done for a while.

use std::collections::VecDeque;
use std::time::Duration;

/// Figures of the router that are older say nothing: the number of pods is kept.
pub const STALE: Duration = Duration::from_secs(10);

/// What the pool's user wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The fewest pods.
    pub min: u32,
    /// The most pods.
    pub max: u32,
    /// Slots of one pod.
    pub slots: u32,
    /// How long a job may wait.
    pub target_queue_age: Duration,
    /// How long fewer pods must do.
    pub scale_down_after: Duration,
}

/// What the router says of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// How old this is.
    pub age: Duration,
    /// Slots in use.
    pub busy: u32,
    /// Jobs that wait and count for this pool.
    pub waiting: u32,
    /// How long a job takes; zero if none has ended yet.
    pub mean_run: Duration,
}

/// How many pods there are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// So many.
    Set(u32),
    /// As many as there are: the router's figures are too old.
    Hold,
}

/// The numbers of pods that were needed lately. A fresh one knows of none: after the operator's restart a pool shrinks
/// when `scale_down_after` has passed again.
#[derive(Debug, Clone, Default)]
pub struct Autoscaler {
    /// When it began to look.
    since: Option<Duration>,
    /// When, and how many; each more than all later ones.
    needed: VecDeque<(Duration, u32)>,
}

impl Autoscaler {
    /// Decides at `now`, by a clock that only goes forward, for a pool that has `current` pods.
    pub fn decide(&mut self, now: Duration, policy: &Policy, current: u32, sample: &Sample) -> Decision {
        if sample.age > STALE {
            return Decision::Hold;
        }
        let since = *self.since.get_or_insert(now);
        let need = needed(policy, sample);
        while self.needed.back().is_some_and(|&(_, earlier)| earlier <= need) {
            self.needed.pop_back();
        }
        self.needed.push_back((now, need));
        let begin = now.saturating_sub(policy.scale_down_after);
        while self.needed.front().is_some_and(|&(when, _)| when < begin) {
            self.needed.pop_front();
        }
        let most = self.needed.front().map_or(need, |&(_, most)| most);
        // Nobody knows what was needed before it began to look.
        let kept = if now.saturating_sub(since) < policy.scale_down_after { most.max(current) } else { most };
        Decision::Set(kept.clamp(policy.min, policy.max))
    }
}

/// Pods for this very moment.
fn needed(policy: &Policy, sample: &Sample) -> u32 {
    let target = policy.target_queue_age.as_millis().max(1);
    let run = run_ms(sample.mean_run, policy.target_queue_age);
    let slots_ms = u128::from(sample.busy) * target + u128::from(sample.waiting) * run;
    let pods = slots_ms.div_ceil(target * u128::from(policy.slots.max(1)));
    u32::try_from(pods).unwrap_or(u32::MAX).clamp(policy.min, policy.max)
}

/// How long a job takes, in milliseconds. Without a figure as long as it may wait: it has a slot of its own.
pub(super) fn run_ms(mean: Duration, target: Duration) -> u128 {
    let run = if mean.is_zero() { target } else { mean };
    run.as_millis().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const POLICY: Policy = Policy {
        min: 0,
        max: 10,
        slots: 4,
        target_queue_age: Duration::from_secs(2),
        scale_down_after: Duration::from_secs(300),
    };

    fn sample(busy: u32, waiting: u32, mean_run_ms: u64) -> Sample {
        Sample { age: Duration::ZERO, busy, waiting, mean_run: Duration::from_millis(mean_run_ms) }
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[rstest]
    #[case::nothing_to_do(sample(0, 0, 500), 0)]
    #[case::one_short_job_from_none(sample(0, 1, 50), 1)]
    #[case::one_job_of_unknown_length(sample(0, 1, 0), 1)]
    #[case::five_of_unknown_length_need_a_slot_each(sample(0, 5, 0), 2)]
    #[case::eight_short_ones_fit_into_two_seconds_of_one_pod(sample(0, 16, 500), 1)]
    #[case::and_no_more(sample(0, 17, 500), 2)]
    #[case::long_ones_need_more_slots_than_jobs(sample(0, 4, 4000), 2)]
    #[case::busy_slots_count(sample(8, 0, 500), 2)]
    #[case::never_more_than_the_maximum(sample(4, 1_000_000, 60_000), 10)]
    fn as_many_as_work_off_what_waits(#[case] sample: Sample, #[case] pods: u32) {
        assert_eq!(needed(&POLICY, &sample), pods);
    }

    #[test]
    fn more_at_once_and_fewer_only_after_a_while() {
        let mut scaler = Autoscaler::default();
        assert_eq!(scaler.decide(at(0), &POLICY, 0, &sample(0, 40, 1000)), Decision::Set(5));
        assert_eq!(scaler.decide(at(10), &POLICY, 5, &sample(4, 0, 1000)), Decision::Set(5));
        assert_eq!(scaler.decide(at(300), &POLICY, 5, &sample(4, 0, 1000)), Decision::Set(5));
        assert_eq!(scaler.decide(at(301), &POLICY, 5, &sample(4, 0, 1000)), Decision::Set(1));
        assert_eq!(scaler.decide(at(600), &POLICY, 1, &sample(0, 0, 1000)), Decision::Set(1));
        assert_eq!(scaler.decide(at(602), &POLICY, 1, &sample(0, 0, 1000)), Decision::Set(0));
    }

    #[test]
    fn a_restarted_operator_keeps_what_is_there_for_a_while() {
        let mut scaler = Autoscaler::default();
        assert_eq!(scaler.decide(at(1000), &POLICY, 7, &sample(0, 0, 0)), Decision::Set(7));
        assert_eq!(scaler.decide(at(1299), &POLICY, 7, &sample(0, 0, 0)), Decision::Set(7));
        assert_eq!(scaler.decide(at(1301), &POLICY, 7, &sample(0, 0, 0)), Decision::Set(0));
    }

    #[test]
    fn old_figures_change_nothing() {
        let mut scaler = Autoscaler::default();
        let old = Sample { age: STALE + Duration::from_millis(1), ..sample(0, 100, 1000) };
        assert_eq!(scaler.decide(at(0), &POLICY, 3, &old), Decision::Hold);
        assert!(scaler.needed.is_empty());
    }

    proptest! {
        #[test]
        fn it_stays_between_minimum_and_maximum_and_covers_what_is_needed(
            min in 0u32..5,
            more in 0u32..20,
            steps in prop::collection::vec((0u64..120, 0u32..40, 0u32..200, 0u64..5000), 1..60),
        ) {
            let policy = Policy { min, max: min + more.max(1), ..POLICY };
            let (mut scaler, mut now, mut current) = (Autoscaler::default(), 0, 0);
            for (pause, busy, waiting, run) in steps {
                now += pause;
                let sample = sample(busy, waiting, run);
                let Decision::Set(pods) = scaler.decide(at(now), &policy, current, &sample) else { panic!() };
                prop_assert!((policy.min..=policy.max).contains(&pods));
                prop_assert!(pods >= needed(&policy, &sample));
                current = pods;
            }
        }

        #[test]
        fn the_most_that_was_needed_lately_is_what_stays(
            steps in prop::collection::vec((1u64..90, 0u32..40), 1..80),
        ) {
            let (mut scaler, mut now, mut seen) = (Autoscaler::default(), 0, Vec::new());
            for (pause, busy) in steps {
                now += pause;
                let sample = sample(busy, 0, 0);
                seen.push((now, needed(&POLICY, &sample)));
                let lately = seen.iter().filter(|(when, _)| when + 300 >= now);
                let most = lately.map(|&(_, need)| need).max().unwrap();
                prop_assert_eq!(scaler.decide(at(now), &POLICY, 0, &sample), Decision::Set(most));
            }
        }
    }
}
