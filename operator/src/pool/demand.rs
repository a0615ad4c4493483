//! Which pool is to run what waits: a queued job counts for one pool, the track's own while that may still grow, else a
//! generic one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::autoscale::run_ms;

/// What waits for workers of one channel and track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// The channel's word.
    pub channel: String,
    /// The track's slug.
    pub track: String,
    /// Jobs.
    pub waiting: u32,
}

/// A pool that scales by itself, and what its workers do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// The channel's word.
    pub channel: String,
    /// Tracks, or `*`.
    pub topics: Vec<String>,
    /// The most pods.
    pub max: u32,
    /// Slots of one pod.
    pub slots: u32,
    /// Slots in use.
    pub busy: u32,
    /// How long a job takes; zero if none has ended yet.
    pub mean_run: Duration,
    /// How long a job may wait.
    pub target_queue_age: Duration,
}

impl Candidate {
    /// Waiting jobs for which the pool may still grow, when `counted` are counted for it already.
    fn room(&self, counted: u32) -> u32 {
        let slots = u64::from(self.max) * u64::from(self.slots);
        let free = slots.saturating_sub(u64::from(self.busy));
        // As many as make the pool ask for its maximum, and no more.
        let run = run_ms(self.mean_run, self.target_queue_age);
        let all = u128::from(free) * self.target_queue_age.as_millis().max(1) / run;
        u32::try_from(all).unwrap_or(u32::MAX).saturating_sub(counted)
    }

    fn names(&self, queue: &Queue) -> bool {
        self.channel == queue.channel && self.topics.contains(&queue.track)
    }

    fn is_generic_for(&self, queue: &Queue) -> bool {
        self.channel == queue.channel && self.topics.iter().any(|topic| topic == "*")
    }
}

/// Waiting jobs by pool, for pools in the order of their names. What has room nowhere counts for the last pool that
/// could run it.
#[must_use]
pub fn assign(queues: &[Queue], pools: &[Candidate]) -> BTreeMap<String, u32> {
    let mut counted: BTreeMap<String, u32> = pools.iter().map(|pool| (pool.name.clone(), 0)).collect();
    for queue in queues {
        let mut able: Vec<&Candidate> = pools.iter().filter(|pool| pool.names(queue)).collect();
        able.sort_by(|a, b| a.name.cmp(&b.name));
        let mut generic: Vec<&Candidate> = pools.iter().filter(|pool| pool.is_generic_for(queue)).collect();
        generic.sort_by(|a, b| a.name.cmp(&b.name));
        able.extend(generic);
        spread(queue.waiting, &able, &mut counted);
    }
    counted
}

fn spread(waiting: u32, able: &[&Candidate], counted: &mut BTreeMap<String, u32>) {
    let mut left = waiting;
    for (number, pool) in able.iter().enumerate() {
        let count = counted.entry(pool.name.clone()).or_default();
        let is_last = number + 1 == able.len();
        let share = if is_last { left } else { left.min(pool.room(*count)) };
        *count = count.saturating_add(share);
        left -= share;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn pool(name: &str, topic: &str, max: u32) -> Candidate {
        Candidate {
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

    fn queue(track: &str, waiting: u32) -> Queue {
        Queue { channel: "test_runners".to_owned(), track: track.to_owned(), waiting }
    }

    /// A slot works off two waiting jobs in the time that one may wait, so a pod of two slots four.
    #[rstest]
    #[case::the_tracks_own_pool_first(&[queue("ruby", 3)], 3, 0)]
    #[case::what_is_over_its_maximum_is_the_generic_ones(&[queue("ruby", 10)], 4, 6)]
    #[case::another_track_is_the_generic_ones(&[queue("python", 3)], 0, 3)]
    #[case::another_channel_is_nobodys(&[Queue { channel: "representers".to_owned(), ..queue("ruby", 3) }], 0, 0)]
    fn a_waiting_job_counts_for_one_pool(#[case] queues: &[Queue], #[case] own: u32, #[case] generic: u32) {
        let pools = [pool("any", "*", 10), pool("ruby", "ruby", 1)];
        let counted = assign(queues, &pools);
        assert_eq!((counted["ruby"], counted["any"]), (own, generic));
    }

    #[test]
    fn without_another_pool_all_counts_for_the_only_one() {
        let counted = assign(&[queue("ruby", 100)], &[pool("ruby", "ruby", 1)]);
        assert_eq!(counted["ruby"], 100);
    }

    #[test]
    fn long_jobs_leave_room_for_fewer_than_there_are_slots() {
        let long = Candidate { mean_run: Duration::from_secs(4), ..pool("ruby", "ruby", 1) };
        let counted = assign(&[queue("ruby", 3)], &[long, pool("any", "*", 1)]);
        assert_eq!((counted["ruby"], counted["any"]), (1, 2));
    }

    #[test]
    fn busy_slots_leave_less_room() {
        let busy = Candidate { busy: 1, ..pool("ruby", "ruby", 1) };
        let counted = assign(&[queue("ruby", 3)], &[busy, pool("any", "*", 1)]);
        assert_eq!((counted["ruby"], counted["any"]), (2, 1));
    }
}
