//! Waits until a condition holds, with a timeout; never for a guessed time.

use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Interval between checks of a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Calls `poll` until it returns a value. Fails the test, naming `what`, after `timeout`.
pub fn wait_for<T>(timeout: Duration, what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + timeout;
    loop {
        if let Some(value) = poll() {
            return value;
        }
        assert!(Instant::now() < until, "not within {timeout:?}: {what}");
        sleep(POLL_INTERVAL);
    }
}

/// Calls `holds` until it returns true. Fails the test, naming `what`, after `timeout`.
pub fn wait_until(timeout: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(timeout, what, || holds().then_some(()));
}

/// Returns the factor by which everything takes longer on this machine: `TRACKYARD_TEST_SLOWNESS`, by default 1. The
/// timeouts of tests and jobs are multiplied by it.
///
/// # Panics
/// When the variable is not a whole number.
#[must_use]
pub fn slowness() -> u32 {
    static SLOWNESS: LazyLock<u32> = LazyLock::new(|| {
        std::env::var("TRACKYARD_TEST_SLOWNESS").map_or(1, |text| text.parse().expect("a whole number"))
    });
    *SLOWNESS
}

/// Returns a duration in seconds, multiplied by [`slowness`].
#[must_use]
pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count) * slowness()
}

/// Returns the option `--timeout` of kubectl and helm, in seconds, multiplied by [`slowness`].
#[must_use]
pub fn timeout_option(count: u64) -> String {
    format!("--timeout={}s", seconds(count).as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_ends_when_the_condition_holds() {
        let mut calls = 0;
        wait_until(seconds(5), "the third call", || {
            calls += 1;
            calls == 3
        });
        assert_eq!(calls, 3);
    }

    #[test]
    #[should_panic(expected = "never true")]
    fn timeout_names_the_condition() {
        wait_until(Duration::ZERO, "never true", || false);
    }
}
