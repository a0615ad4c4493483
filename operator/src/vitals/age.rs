//! How long nothing was heard of each watch, and how long is too long: pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Of a watch that names none: what clients and API servers agree on.
const TIMEOUT: Duration = Duration::from_secs(295);

/// Watches by what was asked for.
#[derive(Debug, Default)]
pub(super) struct Ages(BTreeMap<String, Watch>);

#[derive(Debug)]
struct Watch {
    resource: String,
    /// After it the API server ends a watch, and it begins again.
    timeout: Duration,
    last: Instant,
}

impl Watch {
    /// Half as long again as the time in which something must come by it, or it must begin again.
    fn patience(&self) -> Duration {
        self.timeout * 3 / 2
    }
}

impl Ages {
    /// A watch, or the list before it, is asked for. That is no sign of life; but the first time its age begins.
    pub(super) fn asked(&mut self, watch: &str, resource: &str, timeout: Option<Duration>, now: Instant) {
        let entry = self.0.entry(watch.to_owned()).or_insert_with(|| Watch {
            resource: resource.to_owned(),
            timeout: TIMEOUT,
            last: now,
        });
        entry.timeout = timeout.unwrap_or(entry.timeout);
    }

    /// Something came by it.
    pub(super) fn heard(&mut self, watch: &str, now: Instant) {
        if let Some(watch) = self.0.get_mut(watch) {
            watch.last = now;
        }
    }

    /// The resources and ages of those that were silent for too long.
    pub(super) fn silent(&self, now: Instant) -> BTreeMap<String, Duration> {
        oldest(self.0.values().filter(|watch| now.duration_since(watch.last) > watch.patience()), now)
    }

    /// All.
    pub(super) fn all(&self, now: Instant) -> BTreeMap<String, Duration> {
        oldest(self.0.values(), now)
    }
}

/// Of several watches of one resource the most silent one counts.
fn oldest<'a>(watches: impl Iterator<Item = &'a Watch>, now: Instant) -> BTreeMap<String, Duration> {
    let mut ages = BTreeMap::new();
    for watch in watches {
        let age = ages.entry(watch.resource.clone()).or_default();
        *age = now.duration_since(watch.last).max(*age);
    }
    ages
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// A watch of pods that ends after 200 s: `(second, what)`, where `?` asks for it and `!` comes by it.
    fn is_silent(begun: Instant, steps: &[(u64, char)], at: u64) -> bool {
        let mut ages = Ages::default();
        for (second, what) in steps {
            let now = begun + seconds(*second);
            match what {
                '?' => ages.asked("pods", "pods", Some(seconds(200)), now),
                _ => ages.heard("pods", now),
            }
        }
        !ages.silent(begun + seconds(at)).is_empty()
    }

    #[rstest]
    #[case::young(&[(0, '?')], 300, false)]
    #[case::never_answered(&[(0, '?')], 301, true)]
    #[case::asking_again_is_no_life(&[(0, '?'), (200, '?'), (290, '?')], 301, true)]
    #[case::one_that_begins_again_lives(&[(0, '?'), (0, '!'), (200, '?'), (200, '!')], 500, false)]
    #[case::and_dies(&[(0, '?'), (0, '!'), (200, '?'), (200, '!')], 501, true)]
    #[case::a_bookmark_is_life(&[(0, '?'), (0, '!'), (60, '!'), (120, '!')], 420, false)]
    #[case::it_comes_back(&[(0, '?'), (400, '!')], 401, false)]
    fn silence(#[case] steps: &[(u64, char)], #[case] at: u64, #[case] expected: bool) {
        assert_eq!(is_silent(Instant::now(), steps, at), expected);
    }

    #[test]
    fn the_most_silent_watch_of_a_kind_is_what_is_told() {
        let begun = Instant::now();
        let mut ages = Ages::default();
        ages.asked("a/secrets", "secrets", None, begun);
        ages.asked("b/secrets", "secrets", None, begun);
        ages.heard("a/secrets", begun + seconds(5));
        ages.heard("unknown", begun + seconds(5));
        assert_eq!(ages.all(begun + seconds(6)), BTreeMap::from([("secrets".to_owned(), seconds(6))]));
    }
}
