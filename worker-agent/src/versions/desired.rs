//! Decides what to prepare and when to retry, as a pure state machine: it takes events and the time, and returns
//! actions.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use trackyard_protocol::channel::Topics;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::version::Digest;
use trackyard_protocol::worker::{TrackVersion, VersionFailed};

/// Maximum number of versions in preparation; the store bounds the layers within them.
const MAX_CONCURRENT_PREPARATIONS: usize = 4;
const MIN_RETRY_BACKOFF: Duration = Duration::from_secs(1);
const MAX_RETRY_BACKOFF: Duration = Duration::from_secs(60);
/// Interval between retries of a permanent failure: somebody may push the image or change the credentials. It is long,
/// because a retry is a load for others.
const PERMANENT_FAILURE_RETRY_INTERVAL: Duration = Duration::from_secs(300);

/// Why a version is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrepareFailure {
    /// The reason, of status 511 or 512.
    pub reason: Reason,
    /// The message for clients, without paths of this machine.
    pub message: String,
    /// Whether a retry may help soon.
    pub is_transient: bool,
}

/// Something that the owner must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionAction {
    /// Prepare a version. Its end is reported by [`DesiredVersions::on_prepared`].
    Prepare(TrackVersion),
    /// A version is ready.
    Ready(TrackVersion),
    /// A version could not be prepared.
    Failed(VersionFailed),
    /// A version is no longer desired.
    Gone(TrackVersion),
    /// Remove all images but those with these digests.
    Collect(Vec<Digest>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Waiting { until: Option<Instant> },
    Preparing,
    Ready,
}

#[derive(Debug)]
struct DesiredVersion {
    /// The index in the router's list; lower is prepared first.
    rank: usize,
    state: State,
    tries: u32,
    failure: Option<PrepareFailure>,
}

/// The versions that a worker must have.
#[derive(Debug)]
pub struct DesiredVersions {
    topics: Topics,
    desired: BTreeMap<TrackVersion, DesiredVersion>,
    /// The versions in preparation, desired or not.
    preparing: Vec<TrackVersion>,
    has_list: bool,
}

impl DesiredVersions {
    /// Returns an empty list, for a worker with these topics.
    #[must_use]
    pub fn new(topics: Topics) -> Self {
        Self { topics, desired: BTreeMap::new(), preparing: Vec::new(), has_list: false }
    }

    /// Handles the router's list. Versions of tracks that this worker does not serve are ignored.
    pub fn set_desired(&mut self, list: &[TrackVersion], now: Instant) -> Vec<VersionAction> {
        let before = std::mem::take(&mut self.desired);
        for (rank, version) in list.iter().enumerate().filter(|(_, v)| self.topics.covers(&v.track)) {
            self.desired.entry(version.clone()).or_insert(DesiredVersion {
                rank,
                state: State::Waiting { until: None },
                tries: 0,
                failure: None,
            });
        }
        let mut out = Vec::new();
        for (version, old) in before {
            match self.desired.get_mut(&version) {
                Some(new) => *new = DesiredVersion { rank: new.rank, ..old },
                None => out.push(VersionAction::Gone(version)),
            }
        }
        if !self.has_list || !out.is_empty() {
            out.push(VersionAction::Collect(self.keep()));
        }
        self.has_list = true;
        out.extend(self.start_due(now));
        out
    }

    /// Handles the end of a preparation.
    pub fn on_prepared(
        &mut self,
        version: &TrackVersion,
        result: Result<(), PrepareFailure>,
        now: Instant,
    ) -> Vec<VersionAction> {
        self.preparing.retain(|preparing| preparing != version);
        let mut out = match self.desired.get_mut(version) {
            Some(desired) => vec![desired.on_prepared(version, result, now)],
            // The version is no longer desired.
            None => vec![VersionAction::Collect(self.keep())],
        };
        out.extend(self.start_due(now));
        out
    }

    /// Retries all failed versions at once.
    pub fn retry_all(&mut self, now: Instant) -> Vec<VersionAction> {
        for desired in self.desired.values_mut() {
            if let State::Waiting { until } = &mut desired.state {
                (*until, desired.tries) = (None, 0);
            }
        }
        self.start_due(now)
    }

    /// Retries the failed versions whose backoff is over.
    pub fn tick(&mut self, now: Instant) -> Vec<VersionAction> {
        self.start_due(now)
    }

    /// Returns the time by which [`DesiredVersions::tick`] must come.
    #[must_use]
    pub fn next_tick(&self) -> Option<Instant> {
        if self.preparing.len() >= MAX_CONCURRENT_PREPARATIONS {
            return None;
        }
        self.desired
            .values()
            .filter_map(|desired| match desired.state {
                State::Waiting { until } => until,
                State::Preparing | State::Ready => None,
            })
            .min()
    }

    /// Returns whether every desired version is ready, or has failed permanently.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.has_list && self.unsettled().next().is_none()
    }

    /// Returns the versions that may become ready soon.
    pub fn unsettled(&self) -> impl Iterator<Item = &TrackVersion> {
        self.desired.iter().filter(|(_, desired)| !desired.is_settled()).map(|(version, _)| version)
    }

    /// Returns each version that is not ready, with its last failure.
    pub fn failures(&self) -> impl Iterator<Item = (&TrackVersion, &PrepareFailure)> {
        self.desired.iter().filter_map(|(version, desired)| Some((version, desired.failure.as_ref()?)))
    }

    /// Returns the number of ready versions.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.desired.values().filter(|desired| desired.state == State::Ready).count()
    }

    /// Returns the number of desired versions.
    #[must_use]
    pub fn desired(&self) -> usize {
        self.desired.len()
    }

    /// Returns the digests of the desired versions, and of those in preparation.
    #[must_use]
    pub fn keep(&self) -> Vec<Digest> {
        let preparing = self.preparing.iter();
        self.desired.keys().chain(preparing).filter_map(|version| version.version.digest.clone()).collect()
    }

    fn start_due(&mut self, now: Instant) -> Vec<VersionAction> {
        let mut due: Vec<(usize, TrackVersion)> = self
            .desired
            .iter()
            .filter(|(version, desired)| desired.is_due(now) && !self.preparing.contains(version))
            .map(|(version, desired)| (desired.rank, version.clone()))
            .collect();
        due.sort();
        due.truncate(MAX_CONCURRENT_PREPARATIONS.saturating_sub(self.preparing.len()));
        let mut out = Vec::new();
        for (_, version) in due {
            if let Some(desired) = self.desired.get_mut(&version) {
                desired.state = State::Preparing;
            }
            self.preparing.push(version.clone());
            out.push(VersionAction::Prepare(version));
        }
        out
    }
}

impl DesiredVersion {
    fn is_due(&self, now: Instant) -> bool {
        match self.state {
            State::Waiting { until } => until.is_none_or(|until| now >= until),
            State::Preparing => true,
            State::Ready => false,
        }
    }

    fn is_settled(&self) -> bool {
        self.state == State::Ready || self.failure.as_ref().is_some_and(|failure| !failure.is_transient)
    }

    fn on_prepared(
        &mut self,
        version: &TrackVersion,
        result: Result<(), PrepareFailure>,
        now: Instant,
    ) -> VersionAction {
        match result {
            Ok(()) => {
                (self.state, self.failure) = (State::Ready, None);
                VersionAction::Ready(version.clone())
            }
            Err(failure) => {
                let delay = if failure.is_transient {
                    retry_backoff(self.tries)
                } else {
                    PERMANENT_FAILURE_RETRY_INTERVAL
                };
                self.tries = self.tries.saturating_add(1);
                self.state = State::Waiting { until: Some(now + delay) };
                let failed = failure.report(version);
                self.failure = Some(failure);
                VersionAction::Failed(failed)
            }
        }
    }
}

impl PrepareFailure {
    /// Returns a failure of this program, not of the version.
    #[must_use]
    pub fn internal() -> Self {
        Self { reason: Reason::HostResources, message: "the worker failed".to_owned(), is_transient: true }
    }

    fn report(&self, version: &TrackVersion) -> VersionFailed {
        VersionFailed {
            version: version.clone(),
            reason: self.reason.as_str().to_owned(),
            status_code: self.reason.code(),
            message: self.message.clone(),
            retrying: self.is_transient,
        }
    }
}

fn retry_backoff(tries: u32) -> Duration {
    MIN_RETRY_BACKOFF.saturating_mul(1 << tries.min(10)).min(MAX_RETRY_BACKOFF)
}
