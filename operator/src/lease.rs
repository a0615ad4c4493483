//! One operator writes: the one that holds the Lease. It renews it every few seconds, and stops writing well before
//! another may take it, also when it was stopped meanwhile and knows nothing of that.

mod decide;
mod gate;
mod keep;
#[cfg(test)]
mod simulation;

use std::time::Duration;

pub use gate::{Gate, NotLeader};
pub use keep::{Lease, Lost};

/// A lease that has not changed for so long may be taken.
const DURATION: Duration = Duration::from_secs(15);
/// Between two renewals.
const RENEW: Duration = Duration::from_secs(4);
/// So long after it asked for the last renewal that it got, a holder writes no more.
const DEADLINE: Duration = Duration::from_secs(10);
/// Between two looks of one that waits.
const RETRY: Duration = Duration::from_secs(2);
