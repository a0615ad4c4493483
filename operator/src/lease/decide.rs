//! Decides what to do about a Lease: pure, by the caller's own clock. The times in a Lease come from another machine's clock
//! and are ignored.

use std::time::Duration;

use super::LEASE_DURATION;

/// The parts of a Lease that decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeaseRecord {
    /// The identity of the holder; none if the Lease was released.
    pub(super) holder: Option<String>,
    /// The resource version, which changes with every write.
    pub(super) version: String,
}

/// What to do about a Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeaseAction {
    /// The Lease does not exist yet.
    Create,
    /// Nobody holds the Lease, or its holder has stopped renewing it.
    Take,
    /// The caller holds the Lease.
    Renew,
    /// Another process holds the Lease.
    Wait,
}

/// Observes a Lease over time.
#[derive(Debug, Default)]
pub(super) struct LeaseObserver {
    /// The latest version, and when it was first seen.
    seen: Option<(String, Duration)>,
}

impl LeaseObserver {
    /// Decides for `identity` at `now`, by a monotonic clock.
    pub(super) fn decide(
        &mut self,
        lease: Option<&LeaseRecord>,
        identity: &str,
        now: Duration,
    ) -> LeaseAction {
        let Some(lease) = lease else { return LeaseAction::Create };
        let since = match &self.seen {
            Some((version, since)) if *version == lease.version => *since,
            _ => {
                self.seen = Some((lease.version.clone(), now));
                now
            }
        };
        match lease.holder.as_deref().filter(|holder| !holder.is_empty()) {
            None => LeaseAction::Take,
            Some(holder) if holder == identity => LeaseAction::Renew,
            Some(_) if now.saturating_sub(since) >= LEASE_DURATION => LeaseAction::Take,
            Some(_) => LeaseAction::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::missing(&[(0, None)], LeaseAction::Create)]
    #[case::released(&[(0, Some(("", 1)))], LeaseAction::Take)]
    #[case::own(&[(0, Some(("me", 1)))], LeaseAction::Renew)]
    #[case::first_seen(&[(900, Some(("you", 1)))], LeaseAction::Wait)]
    #[case::not_expired(&[(0, Some(("you", 1))), (14, Some(("you", 1)))], LeaseAction::Wait)]
    #[case::renewed(&[(0, Some(("you", 1))), (14, Some(("you", 2))), (16, Some(("you", 2)))], LeaseAction::Wait)]
    #[case::expired(&[(0, Some(("you", 1))), (15, Some(("you", 1)))], LeaseAction::Take)]
    fn action_depends_on_holder_and_age(
        #[case] observations: &[(u64, Option<(&str, u32)>)],
        #[case] expected: LeaseAction,
    ) {
        let mut observer = LeaseObserver::default();
        let mut action = None;
        for (second, lease) in observations {
            let lease = lease.map(|(holder, version)| LeaseRecord {
                holder: Some(holder.to_owned()),
                version: version.to_string(),
            });
            action = Some(observer.decide(lease.as_ref(), "me", Duration::from_secs(*second)));
        }
        assert_eq!(action, Some(expected));
    }
}
