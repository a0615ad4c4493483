//! What to do about a Lease: pure, by the caller's own clock. The times in a Lease are another machine's and say
//! nothing.

use std::time::Duration;

use super::DURATION;

/// What a Lease says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Who holds it; none if it was given back.
    pub(super) holder: Option<String>,
    /// Changes with every write.
    pub(super) version: String,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// There is none yet.
    Create,
    /// Nobody holds it, or whoever did is gone.
    Take,
    /// It is held by the caller.
    Renew,
    /// Somebody holds it.
    Wait,
}

/// Looks at a Lease again and again.
#[derive(Debug, Default)]
pub(super) struct Observer {
    /// The last version, and when it was first seen.
    seen: Option<(String, Duration)>,
}

impl Observer {
    /// Decides for `me` at `now`, by a clock that only goes forward.
    pub(super) fn step(&mut self, lease: Option<&Record>, me: &str, now: Duration) -> Step {
        let Some(lease) = lease else { return Step::Create };
        let since = match &self.seen {
            Some((version, since)) if *version == lease.version => *since,
            _ => {
                self.seen = Some((lease.version.clone(), now));
                now
            }
        };
        match lease.holder.as_deref().filter(|holder| !holder.is_empty()) {
            None => Step::Take,
            Some(holder) if holder == me => Step::Renew,
            Some(_) if now.saturating_sub(since) >= DURATION => Step::Take,
            Some(_) => Step::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::none(&[(0, None)], Step::Create)]
    #[case::given_back(&[(0, Some(("", 1)))], Step::Take)]
    #[case::ours(&[(0, Some(("me", 1)))], Step::Renew)]
    #[case::anothers_is_new_to_us(&[(900, Some(("you", 1)))], Step::Wait)]
    #[case::not_yet(&[(0, Some(("you", 1))), (14, Some(("you", 1)))], Step::Wait)]
    #[case::renewed_meanwhile(&[(0, Some(("you", 1))), (14, Some(("you", 2))), (16, Some(("you", 2)))], Step::Wait)]
    #[case::gone(&[(0, Some(("you", 1))), (15, Some(("you", 1)))], Step::Take)]
    fn steps(#[case] looks: &[(u64, Option<(&str, u32)>)], #[case] expected: Step) {
        let mut observer = Observer::default();
        let mut step = None;
        for (second, lease) in looks {
            let lease = lease.map(|(holder, version)| Record {
                holder: Some(holder.to_owned()),
                version: version.to_string(),
            });
            step = Some(observer.step(lease.as_ref(), "me", Duration::from_secs(*second)));
        }
        assert_eq!(step, Some(expected));
    }
}
