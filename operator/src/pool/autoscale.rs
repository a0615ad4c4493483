//! Computes the number of pods of an autoscaled pool: as many as can finish the waiting jobs within the target queue age. Pods
//! are added at once, and removed only when fewer would have sufficed for some time.

use std::collections::VecDeque;
use std::time::Duration;

/// The user's limits and targets for a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScalePolicy {
    /// Minimum number of pods.
    pub min: u32,
    /// Maximum number of pods.
    pub max: u32,
    /// Slots of one pod.
    pub slots: u32,
    /// How long a job may wait.
    pub target_queue_age: Duration,
    /// How long fewer pods must have sufficed before pods are removed.
    pub scale_down_after: Duration,
}

/// The load of a pool, from the router's load report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadSample {
    /// Slots in use.
    pub busy: u32,
    /// Waiting jobs that count for this pool.
    pub waiting: u32,
    /// Mean duration of a job; zero if none has ended yet.
    pub mean_run: Duration,
}

/// The recent needs of a pool. They are lost when the operator restarts; a pool can then shrink only after
/// `scale_down_after` has passed again.
#[derive(Debug, Clone, Default)]
pub struct Autoscaler {
    /// The time of the first sample.
    since: Option<Duration>,
    /// Times and needs within `scale_down_after`; each need is larger than all later ones.
    needs: VecDeque<(Duration, u32)>,
}

impl Autoscaler {
    /// Returns the desired number of pods at `now`, by a monotonic clock, for a pool that has `current` pods.
    pub fn desired(&mut self, now: Duration, policy: &ScalePolicy, current: u32, sample: &LoadSample) -> u32 {
        let since = *self.since.get_or_insert(now);
        let need = needed(policy, sample);
        while self.needs.back().is_some_and(|&(_, earlier)| earlier <= need) {
            self.needs.pop_back();
        }
        self.needs.push_back((now, need));
        let window_start = now.saturating_sub(policy.scale_down_after);
        while self.needs.front().is_some_and(|&(time, _)| time < window_start) {
            self.needs.pop_front();
        }
        let largest = self.needs.front().map_or(need, |&(_, largest)| largest);
        // The needs before the first sample are unknown.
        let is_window_full = now.saturating_sub(since) >= policy.scale_down_after;
        let desired = if is_window_full { largest } else { largest.max(current) };
        desired.clamp(policy.min, policy.max)
    }
}

/// Returns the pods that the load of this moment needs.
fn needed(policy: &ScalePolicy, sample: &LoadSample) -> u32 {
    let target = policy.target_queue_age.as_millis().max(1);
    let run = run_ms(sample.mean_run, policy.target_queue_age);
    let slots_ms = u128::from(sample.busy) * target + u128::from(sample.waiting) * run;
    let pods = slots_ms.div_ceil(target * u128::from(policy.slots.max(1)));
    u32::try_from(pods).unwrap_or(u32::MAX).clamp(policy.min, policy.max)
}

/// Returns the expected duration of a job, in milliseconds. If none has ended yet, it is the target queue age, so that each
/// job gets a slot of its own.
pub(super) fn run_ms(mean: Duration, target: Duration) -> u128 {
    let run = if mean.is_zero() { target } else { mean };
    run.as_millis().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const POLICY: ScalePolicy = ScalePolicy {
        min: 0,
        max: 10,
        slots: 4,
        target_queue_age: Duration::from_secs(2),
        scale_down_after: Duration::from_secs(300),
    };

    fn sample(busy: u32, waiting: u32, mean_run_ms: u64) -> LoadSample {
        LoadSample { busy, waiting, mean_run: Duration::from_millis(mean_run_ms) }
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[rstest]
    #[case::no_load(sample(0, 0, 500), 0)]
    #[case::one_short_job(sample(0, 1, 50), 1)]
    #[case::job_of_unknown_length(sample(0, 1, 0), 1)]
    #[case::jobs_of_unknown_length_need_a_slot_each(sample(0, 5, 0), 2)]
    #[case::short_jobs_fit_into_one_pod(sample(0, 16, 500), 1)]
    #[case::one_job_too_many(sample(0, 17, 500), 2)]
    #[case::long_jobs_need_more_slots(sample(0, 4, 4000), 2)]
    #[case::busy_slots(sample(8, 0, 500), 2)]
    #[case::maximum(sample(4, 1_000_000, 60_000), 10)]
    fn pods_follow_load(#[case] sample: LoadSample, #[case] pods: u32) {
        assert_eq!(needed(&POLICY, &sample), pods);
    }

    #[test]
    fn scales_up_at_once_and_down_later() {
        let mut scaler = Autoscaler::default();
        assert_eq!(scaler.desired(at(0), &POLICY, 0, &sample(0, 40, 1000)), 5);
        assert_eq!(scaler.desired(at(10), &POLICY, 5, &sample(4, 0, 1000)), 5);
        assert_eq!(scaler.desired(at(300), &POLICY, 5, &sample(4, 0, 1000)), 5);
        assert_eq!(scaler.desired(at(301), &POLICY, 5, &sample(4, 0, 1000)), 1);
        assert_eq!(scaler.desired(at(600), &POLICY, 1, &sample(0, 0, 1000)), 1);
        assert_eq!(scaler.desired(at(602), &POLICY, 1, &sample(0, 0, 1000)), 0);
    }

    #[test]
    fn restarted_operator_keeps_pods() {
        let mut scaler = Autoscaler::default();
        assert_eq!(scaler.desired(at(1000), &POLICY, 7, &sample(0, 0, 0)), 7);
        assert_eq!(scaler.desired(at(1299), &POLICY, 7, &sample(0, 0, 0)), 7);
        assert_eq!(scaler.desired(at(1301), &POLICY, 7, &sample(0, 0, 0)), 0);
    }

    proptest! {
        #[test]
        fn stays_in_bounds_and_covers_need(
            min in 0u32..5,
            more in 0u32..20,
            steps in prop::collection::vec((0u64..120, 0u32..40, 0u32..200, 0u64..5000), 1..60),
        ) {
            let policy = ScalePolicy { min, max: min + more.max(1), ..POLICY };
            let mut scaler = Autoscaler::default();
            let mut now = 0;
            let mut current = 0;
            for (pause, busy, waiting, run) in steps {
                now += pause;
                let sample = sample(busy, waiting, run);
                let pods = scaler.desired(at(now), &policy, current, &sample);
                prop_assert!((policy.min..=policy.max).contains(&pods));
                prop_assert!(pods >= needed(&policy, &sample));
                current = pods;
            }
        }

        #[test]
        fn largest_recent_need_is_kept(
            steps in prop::collection::vec((1u64..90, 0u32..40), 1..80),
        ) {
            let mut scaler = Autoscaler::default();
            let mut now = 0;
            let mut needs = Vec::new();
            for (pause, busy) in steps {
                now += pause;
                let sample = sample(busy, 0, 0);
                needs.push((now, needed(&POLICY, &sample)));
                let recent = needs.iter().filter(|(time, _)| time + 300 >= now);
                let largest = recent.map(|&(_, need)| need).max().unwrap();
                prop_assert_eq!(scaler.desired(at(now), &POLICY, 0, &sample), largest);
            }
        }
    }
}
