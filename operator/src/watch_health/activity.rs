//! When data last arrived on each watch, and which watches have been silent for too long: pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Timeout of a watch that sets none; matches client-go and the API server.
const DEFAULT_WATCH_TIMEOUT: Duration = Duration::from_secs(295);

/// The observed watches, by the collection that they request.
#[derive(Debug, Default)]
pub(super) struct WatchActivity(BTreeMap<String, Watch>);

#[derive(Debug)]
struct Watch {
    resource: String,
    /// The API server ends a watch after this time, and the client starts it again.
    timeout: Duration,
    last_data: Instant,
}

impl Watch {
    /// Returns the silence after which the watch counts as dead: one and a half times its timeout.
    fn max_silence(&self) -> Duration {
        self.timeout * 3 / 2
    }
}

impl WatchActivity {
    /// Records the request of a watch or of the list before it. A request is no sign of life; only the first one starts the
    /// idle time of its watch.
    pub(super) fn on_request(
        &mut self,
        watch: &str,
        resource: &str,
        timeout: Option<Duration>,
        now: Instant,
    ) {
        let entry = self.0.entry(watch.to_owned()).or_insert_with(|| Watch {
            resource: resource.to_owned(),
            timeout: DEFAULT_WATCH_TIMEOUT,
            last_data: now,
        });
        entry.timeout = timeout.unwrap_or(entry.timeout);
    }

    /// Records that data arrived.
    pub(super) fn on_data(&mut self, watch: &str, now: Instant) {
        if let Some(watch) = self.0.get_mut(watch) {
            watch.last_data = now;
        }
    }

    /// Returns the idle times of the resources that have been silent for too long.
    pub(super) fn silent(&self, now: Instant) -> BTreeMap<String, Duration> {
        longest(
            self.0.values().filter(|watch| now.duration_since(watch.last_data) > watch.max_silence()),
            now,
        )
    }

    /// Returns the idle times of all watched resources.
    pub(super) fn idle_times(&self, now: Instant) -> BTreeMap<String, Duration> {
        longest(self.0.values(), now)
    }
}

/// Returns the longest idle time of each resource, which may have several watches.
fn longest<'a>(watches: impl Iterator<Item = &'a Watch>, now: Instant) -> BTreeMap<String, Duration> {
    let mut idle_times = BTreeMap::new();
    for watch in watches {
        let idle = idle_times.entry(watch.resource.clone()).or_default();
        *idle = now.duration_since(watch.last_data).max(*idle);
    }
    idle_times
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// Replays a watch of pods with a timeout of 200 s: `(second, what)`, where `?` is a request and `!` is data.
    fn is_silent(start: Instant, steps: &[(u64, char)], at: u64) -> bool {
        let mut activity = WatchActivity::default();
        for (second, what) in steps {
            let now = start + seconds(*second);
            match what {
                '?' => activity.on_request("pods", "pods", Some(seconds(200)), now),
                _ => activity.on_data("pods", now),
            }
        }
        !activity.silent(start + seconds(at)).is_empty()
    }

    #[rstest]
    #[case::new_watch(&[(0, '?')], 300, false)]
    #[case::never_answered(&[(0, '?')], 301, true)]
    #[case::repeated_request_is_not_data(&[(0, '?'), (200, '?'), (290, '?')], 301, true)]
    #[case::restarted_watch(&[(0, '?'), (0, '!'), (200, '?'), (200, '!')], 500, false)]
    #[case::restarted_watch_goes_silent(&[(0, '?'), (0, '!'), (200, '?'), (200, '!')], 501, true)]
    #[case::bookmark_is_data(&[(0, '?'), (0, '!'), (60, '!'), (120, '!')], 420, false)]
    #[case::recovered_watch(&[(0, '?'), (400, '!')], 401, false)]
    fn silence_is_detected(#[case] steps: &[(u64, char)], #[case] at: u64, #[case] expected: bool) {
        assert_eq!(is_silent(Instant::now(), steps, at), expected);
    }

    #[test]
    fn most_silent_watch_counts() {
        let start = Instant::now();
        let mut activity = WatchActivity::default();
        activity.on_request("a/secrets", "secrets", None, start);
        activity.on_request("b/secrets", "secrets", None, start);
        activity.on_data("a/secrets", start + seconds(5));
        activity.on_data("unknown", start + seconds(5));
        let expected = BTreeMap::from([("secrets".to_owned(), seconds(6))]);
        assert_eq!(activity.idle_times(start + seconds(6)), expected);
    }
}
