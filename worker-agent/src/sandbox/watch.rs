//! Waits until a container ends or must be ended.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::capture::Capture;
use super::cgroup::job::JobCgroup;
use super::runc::Container;
use super::verdict::Cause;

/// Interval between checks for a process killed for memory, if the kernel does not end the whole job itself.
const OOM_CHECK_INTERVAL: Duration = Duration::from_millis(20);
const MIN_CPU_CHECK_INTERVAL: Duration = Duration::from_millis(5);
const MAX_CPU_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// What is watched of a container.
pub(crate) struct ContainerWatch<'a> {
    pub(crate) container: &'a Container,
    pub(crate) cgroup: &'a JobCgroup,
    pub(crate) stdout: &'a Capture,
    pub(crate) stderr: &'a Capture,
    pub(crate) deadline: Instant,
    pub(crate) cpu_limit: Duration,
    /// Number of processors that the job may use at one time, rounded up.
    pub(crate) cpus: u32,
}

impl ContainerWatch<'_> {
    /// Waits for the first cause to end the container. If several come at once, its own exit counts.
    pub(crate) async fn wait(&self, cancel: &CancellationToken) -> Cause {
        tokio::select! {
            biased;
            _ = self.container.exited() => Cause::Exited,
            () = self.stdout.exceeded() => Cause::Stdout,
            () = self.stderr.exceeded() => Cause::Stderr,
            cause = self.watch_limits() => cause,
            () = sleep_until(self.deadline) => Cause::Wall,
            () = cancel.cancelled() => Cause::Cancelled,
        }
    }

    async fn watch_limits(&self) -> Cause {
        loop {
            let stats = self.cgroup.live_stats();
            if stats.oom_kills > 0 && !self.cgroup.kernel_kills_at_oom() {
                return Cause::Memory;
            }
            if stats.cpu > self.cpu_limit {
                return Cause::Cpu;
            }
            let left = self.cpu_limit.saturating_sub(stats.cpu);
            sleep(check_interval(left, self.cpus, self.cgroup.kernel_kills_at_oom())).await;
        }
    }
}

/// Returns the time until the next check: the soonest that `cpus` processors can use up the time that is left.
fn check_interval(left: Duration, cpus: u32, kernel_kills_at_oom: bool) -> Duration {
    let max = if kernel_kills_at_oom { MAX_CPU_CHECK_INTERVAL } else { OOM_CHECK_INTERVAL };
    (left / cpus.max(1)).clamp(MIN_CPU_CHECK_INTERVAL, max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_become_frequent_near_the_limit() {
        let check = |left, v2| check_interval(Duration::from_millis(left), 2, v2).as_millis();
        assert_eq!(check(10_000, true), 1000);
        assert_eq!(check(100, true), 50);
        assert_eq!(check(1, true), 5);
        assert_eq!(check(10_000, false), 20);
    }
}
