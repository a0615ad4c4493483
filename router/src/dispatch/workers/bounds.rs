//! Bounds on what workers can make the router hold.

use std::time::Duration;

/// Workers known at a time.
pub(super) const MAX_WORKERS: usize = 10_000;
/// Slots of one worker.
pub(super) const MAX_SLOTS: u32 = 1024;
/// Topics of one worker.
pub(super) const MAX_TOPICS: usize = 1024;
/// Versions ready on one worker, and as many failed ones.
pub(super) const MAX_VERSIONS: usize = 4096;
/// Jobs and results that one worker holds.
pub(super) const MAX_HELD_JOBS: usize = 4096;
/// Jobs in flight beyond which no more are adopted.
pub(super) const MAX_JOBS_WHEN_ADOPTING: usize = 200_000;
/// Restarting workers that jobs may wait for.
pub(super) const MAX_RESTARTING: usize = 1024;

/// Characters that are kept of a worker's release.
pub(super) const MAX_RELEASE_CHARS: usize = 80;
/// Characters that are kept of the reason why a version failed.
pub(super) const MAX_REASON_CHARS: usize = 64;
/// Characters that are kept of the message about a failed version.
pub(super) const MAX_MESSAGE_CHARS: usize = 500;

/// Interval between requests for a `Hello` on one connection.
pub(in crate::dispatch) const HELLO_REQUEST_INTERVAL: Duration = Duration::from_millis(500);
/// Connections for which the last request is remembered.
pub(super) const MAX_HELLO_REQUESTS: usize = 10_000;
