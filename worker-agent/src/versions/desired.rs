//! What to prepare, and when to try again, as a pure state machine: events and the time go in, actions come out.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use trackyard_protocol::channel::Topics;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::version::Digest;
use trackyard_protocol::worker::{TrackVersion, VersionFailed};

/// Versions in preparation at one time; the store bounds the layers within them.
const PARALLEL: usize = 4;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A failure that nothing here can mend is looked at again all the same: somebody may push the image, or change the
/// credentials. Seldom, for it costs others.
const DEFINITIVE_WAIT: Duration = Duration::from_secs(300);

/// Why a version is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The reason, of status 511 or 512.
    pub reason: Reason,
    /// What happened, for clients: no path of this machine in it.
    pub message: String,
    /// True if trying again soon may help.
    pub is_transient: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Prepare a version; report it by [`Versions::prepared`].
    Prepare(TrackVersion),
    /// A version can be run from now on.
    Ready(TrackVersion),
    /// A version could not be prepared.
    Failed(VersionFailed),
    /// A version is no longer wanted.
    Gone(TrackVersion),
    /// Remove all images but those of these digests.
    Collect(Vec<Digest>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Waiting { until: Option<Instant> },
    Preparing,
    Ready,
}

#[derive(Debug)]
struct Wanted {
    /// The place in the router's list: lower is wanted first.
    rank: usize,
    state: State,
    tries: u32,
    failure: Option<Failure>,
}

/// The versions that a worker must have.
#[derive(Debug)]
pub struct Versions {
    topics: Topics,
    wanted: BTreeMap<TrackVersion, Wanted>,
    /// Being prepared, wanted or not.
    busy: Vec<TrackVersion>,
    known: bool,
}

impl Versions {
    /// None yet.
    #[must_use]
    pub fn new(topics: Topics) -> Self {
        Self { topics, wanted: BTreeMap::new(), busy: Vec::new(), known: false }
    }

    /// The router's list came. Versions of tracks that this worker does not serve are left alone: nobody is asked for
    /// them.
    pub fn desire(&mut self, list: &[TrackVersion], now: Instant) -> Vec<Action> {
        let before = std::mem::take(&mut self.wanted);
        for (rank, version) in list.iter().enumerate().filter(|(_, v)| self.topics.covers(&v.track)) {
            self.wanted.entry(version.clone()).or_insert(Wanted {
                rank,
                state: State::Waiting { until: None },
                tries: 0,
                failure: None,
            });
        }
        let mut out = Vec::new();
        for (version, old) in before {
            match self.wanted.get_mut(&version) {
                Some(new) => *new = Wanted { rank: new.rank, ..old },
                None => out.push(Action::Gone(version)),
            }
        }
        if !self.known || !out.is_empty() {
            out.push(Action::Collect(self.keep()));
        }
        self.known = true;
        out.extend(self.begin(now));
        out
    }

    /// A preparation ended.
    pub fn prepared(
        &mut self,
        version: &TrackVersion,
        result: Result<(), Failure>,
        now: Instant,
    ) -> Vec<Action> {
        self.busy.retain(|busy| busy != version);
        let mut out = match self.wanted.get_mut(version) {
            Some(wanted) => vec![wanted.end(version, result, now)],
            // No longer wanted when it was done.
            None => vec![Action::Collect(self.keep())],
        };
        out.extend(self.begin(now));
        out
    }

    /// What failed may succeed now: everything is tried again at once.
    pub fn try_again(&mut self, now: Instant) -> Vec<Action> {
        for wanted in self.wanted.values_mut() {
            if let State::Waiting { until } = &mut wanted.state {
                (*until, wanted.tries) = (None, 0);
            }
        }
        self.begin(now)
    }

    /// Time passes: what waited long enough is tried again.
    pub fn tick(&mut self, now: Instant) -> Vec<Action> {
        self.begin(now)
    }

    /// When [`Versions::tick`] is due at the latest.
    #[must_use]
    pub fn next_tick(&self) -> Option<Instant> {
        if self.busy.len() >= PARALLEL {
            return None;
        }
        self.wanted
            .values()
            .filter_map(|wanted| match wanted.state {
                State::Waiting { until } => until,
                State::Preparing | State::Ready => None,
            })
            .min()
    }

    /// True once every wanted version is ready, or has failed for good.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.known && self.unsettled().next().is_none()
    }

    /// The versions that may still become ready soon.
    pub fn unsettled(&self) -> impl Iterator<Item = &TrackVersion> {
        self.wanted.iter().filter(|(_, wanted)| !wanted.is_settled()).map(|(version, _)| version)
    }

    /// Each wanted version with the failure that it last had, if it is not ready.
    pub fn failures(&self) -> impl Iterator<Item = (&TrackVersion, &Failure)> {
        self.wanted.iter().filter_map(|(version, wanted)| Some((version, wanted.failure.as_ref()?)))
    }

    /// How many versions are ready.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.wanted.values().filter(|wanted| wanted.state == State::Ready).count()
    }

    /// How many versions are wanted.
    #[must_use]
    pub fn wanted(&self) -> usize {
        self.wanted.len()
    }

    /// The images that are needed: of what is wanted, and of what is being prepared.
    #[must_use]
    pub fn keep(&self) -> Vec<Digest> {
        let busy = self.busy.iter();
        self.wanted.keys().chain(busy).filter_map(|version| version.version.digest.clone()).collect()
    }

    fn begin(&mut self, now: Instant) -> Vec<Action> {
        let mut due: Vec<(usize, TrackVersion)> = self
            .wanted
            .iter()
            .filter(|(version, wanted)| wanted.is_due(now) && !self.busy.contains(version))
            .map(|(version, wanted)| (wanted.rank, version.clone()))
            .collect();
        due.sort();
        due.truncate(PARALLEL.saturating_sub(self.busy.len()));
        let mut out = Vec::new();
        for (_, version) in due {
            if let Some(wanted) = self.wanted.get_mut(&version) {
                wanted.state = State::Preparing;
            }
            self.busy.push(version.clone());
            out.push(Action::Prepare(version));
        }
        out
    }
}

impl Wanted {
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

    fn end(&mut self, version: &TrackVersion, result: Result<(), Failure>, now: Instant) -> Action {
        match result {
            Ok(()) => {
                (self.state, self.failure) = (State::Ready, None);
                Action::Ready(version.clone())
            }
            Err(failure) => {
                let wait = if failure.is_transient { wait(self.tries) } else { DEFINITIVE_WAIT };
                self.tries = self.tries.saturating_add(1);
                self.state = State::Waiting { until: Some(now + wait) };
                let failed = failure.of(version);
                self.failure = Some(failure);
                Action::Failed(failed)
            }
        }
    }
}

impl Failure {
    /// A failure of this program, not of the version.
    #[must_use]
    pub fn of_a_bug() -> Self {
        Self { reason: Reason::HostResources, message: "the worker failed".to_owned(), is_transient: true }
    }

    fn of(&self, version: &TrackVersion) -> VersionFailed {
        VersionFailed {
            version: version.clone(),
            reason: self.reason.as_str().to_owned(),
            status_code: self.reason.code(),
            message: self.message.clone(),
            retrying: self.is_transient,
        }
    }
}

fn wait(tries: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << tries.min(10)).min(LONGEST_WAIT)
}
