//! Assigns each waiting job to one autoscaled pool: a pool of the job's track while it may still grow, else a generic pool.

use std::collections::BTreeMap;
use std::time::Duration;

use super::autoscale::run_ms;

/// The waiting jobs of one channel and track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedJobs {
    /// The channel's name.
    pub channel: String,
    /// The track's slug.
    pub track: String,
    /// The number of jobs.
    pub waiting: u32,
}

/// An autoscaled pool, and the load of its workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalablePool {
    /// Its name.
    pub name: String,
    /// The channel's name.
    pub channel: String,
    /// Tracks, or `*`.
    pub topics: Vec<String>,
    /// Maximum number of pods.
    pub max: u32,
    /// Slots of one pod.
    pub slots: u32,
    /// Slots in use.
    pub busy: u32,
    /// Mean duration of a job; zero if none has ended yet.
    pub mean_run: Duration,
    /// How long a job may wait.
    pub target_queue_age: Duration,
}

impl ScalablePool {
    /// Returns how many more waiting jobs the pool can take when `assigned` are assigned already: as many as make it ask for its
    /// maximum number of pods.
    fn capacity(&self, assigned: u32) -> u32 {
        let slots = u64::from(self.max) * u64::from(self.slots);
        let free = slots.saturating_sub(u64::from(self.busy));
        let run = run_ms(self.mean_run, self.target_queue_age);
        let jobs = u128::from(free) * self.target_queue_age.as_millis().max(1) / run;
        u32::try_from(jobs).unwrap_or(u32::MAX).saturating_sub(assigned)
    }

    fn has_topic(&self, channel: &str, topic: &str) -> bool {
        self.channel == channel && self.topics.iter().any(|own| own == topic)
    }
}

/// Returns the waiting jobs of each pool. Jobs that exceed the capacity of all pools count for the last one that could run them.
#[must_use]
pub fn assign(queues: &[QueuedJobs], pools: &[ScalablePool]) -> BTreeMap<String, u32> {
    let mut assigned: BTreeMap<String, u32> = pools.iter().map(|pool| (pool.name.clone(), 0)).collect();
    for queue in queues {
        let mut able = pools_by_name(pools, &queue.channel, &queue.track);
        able.extend(pools_by_name(pools, &queue.channel, "*"));
        distribute(queue.waiting, &able, &mut assigned);
    }
    assigned
}

fn pools_by_name<'a>(pools: &'a [ScalablePool], channel: &str, topic: &str) -> Vec<&'a ScalablePool> {
    let mut pools: Vec<&ScalablePool> = pools.iter().filter(|pool| pool.has_topic(channel, topic)).collect();
    pools.sort_by(|a, b| a.name.cmp(&b.name));
    pools
}

fn distribute(waiting: u32, able: &[&ScalablePool], assigned: &mut BTreeMap<String, u32>) {
    let mut left = waiting;
    for (index, pool) in able.iter().enumerate() {
        let count = assigned.entry(pool.name.clone()).or_default();
        let is_last = index + 1 == able.len();
        let share = if is_last { left } else { left.min(pool.capacity(*count)) };
        *count = count.saturating_add(share);
        left -= share;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn pool(name: &str, topic: &str, max: u32) -> ScalablePool {
        ScalablePool {
            name: name.to_owned(),
            channel: "test_runners".to_owned(),
            topics: vec![topic.to_owned()],
            max,
            slots: 2,
            busy: 0,
            mean_run: Duration::from_secs(1),
            target_queue_age: Duration::from_secs(2),
        }
    }

    fn queue(track: &str, waiting: u32) -> QueuedJobs {
        QueuedJobs { channel: "test_runners".to_owned(), track: track.to_owned(), waiting }
    }

    /// In the time that a job may wait, a slot finishes two waiting jobs, so a pod with two slots finishes four.
    #[rstest]
    #[case::track_pool_first(&[queue("ruby", 3)], 3, 0)]
    #[case::excess_goes_to_generic_pool(&[queue("ruby", 10)], 4, 6)]
    #[case::other_track(&[queue("python", 3)], 0, 3)]
    #[case::other_channel(&[QueuedJobs { channel: "representers".to_owned(), ..queue("ruby", 3) }], 0, 0)]
    fn waiting_job_counts_for_one_pool(
        #[case] queues: &[QueuedJobs],
        #[case] own: u32,
        #[case] generic: u32,
    ) {
        let pools = [pool("any", "*", 10), pool("ruby", "ruby", 1)];
        let assigned = assign(queues, &pools);
        assert_eq!((assigned["ruby"], assigned["any"]), (own, generic));
    }

    #[test]
    fn only_pool_gets_all_jobs() {
        let assigned = assign(&[queue("ruby", 100)], &[pool("ruby", "ruby", 1)]);
        assert_eq!(assigned["ruby"], 100);
    }

    #[test]
    fn long_jobs_reduce_capacity() {
        let long = ScalablePool { mean_run: Duration::from_secs(4), ..pool("ruby", "ruby", 1) };
        let assigned = assign(&[queue("ruby", 3)], &[long, pool("any", "*", 1)]);
        assert_eq!((assigned["ruby"], assigned["any"]), (1, 2));
    }

    #[test]
    fn busy_slots_reduce_capacity() {
        let busy = ScalablePool { busy: 1, ..pool("ruby", "ruby", 1) };
        let assigned = assign(&[queue("ruby", 3)], &[busy, pool("any", "*", 1)]);
        assert_eq!((assigned["ruby"], assigned["any"]), (2, 1));
    }
}
