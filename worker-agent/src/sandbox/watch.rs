//! Waits until a container ends or must be ended.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::capture::Capture;
use super::cgroup::group::JobGroup;
use super::runc::Container;
use super::verdict::Cause;

/// How soon a job is ended after one of its processes was killed for memory, where the kernel does not do it.
const OOM_CHECK: Duration = Duration::from_millis(20);
const CPU_CHECK_LEAST: Duration = Duration::from_millis(5);
const CPU_CHECK_MOST: Duration = Duration::from_secs(1);

/// What is watched.
pub(crate) struct Watch<'a> {
    pub(crate) container: &'a Container,
    pub(crate) group: &'a JobGroup,
    pub(crate) stdout: &'a Capture,
    pub(crate) stderr: &'a Capture,
    pub(crate) deadline: Instant,
    pub(crate) cpu_limit: Duration,
    /// Processors that the job may use at one time, rounded up.
    pub(crate) cpus: u32,
}

impl Watch<'_> {
    /// The first cause to end, in time; of several at once the container's own end.
    pub(crate) async fn wait(&self, cancel: &CancellationToken) -> Cause {
        tokio::select! {
            biased;
            _ = self.container.ended() => Cause::Ended,
            () = self.stdout.exceeded() => Cause::Stdout,
            () = self.stderr.exceeded() => Cause::Stderr,
            cause = self.counters() => cause,
            () = sleep_until(self.deadline) => Cause::Wall,
            () = cancel.cancelled() => Cause::Cancelled,
        }
    }

    async fn counters(&self) -> Cause {
        loop {
            let (used, oom_kills) = self.group.watched();
            if oom_kills > 0 && !self.group.kernel_kills_at_oom() {
                return Cause::Memory;
            }
            if used > self.cpu_limit {
                return Cause::Cpu;
            }
            let left = self.cpu_limit.saturating_sub(used);
            sleep(next_check(left, self.cpus, self.group.kernel_kills_at_oom())).await;
        }
    }
}

/// When the counters can next have passed a limit: the soonest that the processors could use up what is left.
fn next_check(left: Duration, cpus: u32, kernel_kills_at_oom: bool) -> Duration {
    let most = if kernel_kills_at_oom { CPU_CHECK_MOST } else { OOM_CHECK };
    (left / cpus.max(1)).clamp(CPU_CHECK_LEAST, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_come_closer_as_the_limit_does() {
        let check = |left, v2| next_check(Duration::from_millis(left), 2, v2).as_millis();
        assert_eq!(check(10_000, true), 1000);
        assert_eq!(check(100, true), 50);
        assert_eq!(check(1, true), 5);
        assert_eq!(check(10_000, false), 20);
    }
}
