//! Which pools may have workers.

use std::time::Duration;

use trackyard_crds::WorkerPool;
use trackyard_protocol::channel::{Topic, Topics};

use crate::dispatch::PoolCover;

/// How long a pod of a pool that does not scale by itself may take to start, such as while a node is replaced.
const START: Duration = Duration::from_secs(180);

/// What a pool may serve; none if it has no pod and gets none.
pub(super) fn cover(pool: &WorkerPool) -> Option<PoolCover> {
    let spec = &pool.spec;
    let pods = spec.autoscale.as_ref().map_or(spec.replicas, |scale| scale.max);
    if pods <= 0 || spec.suspend || pool.metadata.deletion_timestamp.is_some() {
        return None;
    }
    // A topic that cannot be read is left out; without any the pool would stand for all tracks.
    let topics: Vec<Topic> = spec.topics.iter().filter_map(|topic| topic.parse().ok()).collect();
    (!topics.is_empty()).then(|| PoolCover {
        channel: spec.channel.into(),
        topics: topics.into_iter().collect::<Topics>(),
        cold_start: spec.autoscale.as_ref().map_or(START, |scale| scale.cold_start.0.0),
    })
}
