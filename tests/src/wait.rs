//! Waiting for what must become true, with a deadline; never for a guessed time.

use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const STEP: Duration = Duration::from_millis(10);

/// Looks until `look` gives a value; fails the test, naming `what`, when `within` has passed.
pub fn wait_for<T>(within: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + within;
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(Instant::now() < until, "not within {within:?}: {what}");
        sleep(STEP);
    }
}

/// Looks until `holds` is true; fails the test, naming `what`, when `within` has passed.
pub fn wait_until(within: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(within, what, || holds().then_some(()));
}

/// How many times longer everything takes on this machine, as `TRACKYARD_TEST_SLOWNESS` tells: 1 if it is not set. What
/// a test waits for, or gives a job, is so many times longer.
///
/// # Panics
/// When it is set and no number.
#[must_use]
pub fn slowness() -> u32 {
    static SLOWNESS: LazyLock<u32> = LazyLock::new(|| {
        std::env::var("TRACKYARD_TEST_SLOWNESS").map_or(1, |text| text.parse().expect("a whole number"))
    });
    *SLOWNESS
}

/// Seconds, short; on a slow machine so many times longer.
#[must_use]
pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count) * slowness()
}

/// The option that bounds how long kubectl and helm wait, in seconds; on a slow machine so many times longer.
#[must_use]
pub fn timeout_option(count: u64) -> String {
    format!("--timeout={}s", seconds(count).as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_becomes_true_ends_the_wait() {
        let mut looks = 0;
        wait_until(seconds(5), "the third look", || {
            looks += 1;
            looks == 3
        });
        assert_eq!(looks, 3);
    }

    #[test]
    #[should_panic(expected = "a dead cat")]
    fn one_that_does_not_fails_by_name() {
        wait_until(Duration::ZERO, "a dead cat", || false);
    }
}
