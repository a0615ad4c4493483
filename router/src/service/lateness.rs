//! Notices that this process did not run: it was stopped, or its machine was.

use std::time::Duration;

const TOLERATED: Duration = Duration::from_secs(1);

/// How much later than `due` it is, if that is too much to be work.
pub(super) fn lateness(now: Duration, due: Duration) -> Option<Duration> {
    now.checked_sub(due).filter(|late| *late > TOLERATED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_more_than_a_second_counts() {
        let at = Duration::from_millis;
        assert_eq!(lateness(at(1500), at(2000)), None);
        assert_eq!(lateness(at(3000), at(2000)), None);
        assert_eq!(lateness(at(9000), at(2000)), Some(at(7000)));
    }
}
