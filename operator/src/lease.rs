//! Leader election: only the operator that holds the Lease writes. It renews the Lease every few seconds and stops writing well
//! before another operator may take it, even if the process was suspended meanwhile.

mod decide;
mod elector;
mod gate;
#[cfg(test)]
mod simulation;

use std::time::Duration;

pub use elector::{LeaderElector, LeaseLost};
pub use gate::{NotLeader, WriteGate};

/// Time without a change after which another operator may take the Lease.
const LEASE_DURATION: Duration = Duration::from_secs(15);
/// Interval between two renewals.
const RENEW_INTERVAL: Duration = Duration::from_secs(4);
/// Time after the request of the last successful renewal at which the holder stops writing.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Interval between two attempts to take the Lease; also the timeout of requests that are not essential.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
