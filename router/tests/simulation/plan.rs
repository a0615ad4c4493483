//! The simulated jobs. Everything that a job does follows from its key, so that all parts agree on it.

use std::time::Duration;

use trackyard_protocol::build::BuildLimits;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::name::{ExerciseSlug, JobId, TrackSlug};
use trackyard_protocol::quantity::HumanDuration;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::{BuildRequest, JobRequest, Tooling};
use trackyard_protocol::token::JobKey;
use trackyard_protocol::version::PinnedVersion;
use trackyard_router::dispatch::{JobSpec, NewJob};

use crate::random::Random;

pub(crate) const TRACKS: [&str; 4] = ["ruby", "python", "csharp", "elixir"];
pub(crate) const VERSIONS: usize = 2;

/// A job as its client plans it.
#[derive(Debug, Clone)]
pub(crate) struct JobPlan {
    pub(crate) key: JobKey,
    pub(crate) track: usize,
    pub(crate) version: usize,
    pub(crate) deadline: Option<Duration>,
    pub(crate) fresh: bool,
    /// True for a build of the track instead of a run of its version.
    pub(crate) build: bool,
}

pub(crate) fn track(index: usize) -> TrackSlug {
    TrackSlug::new(TRACKS[index]).unwrap()
}

pub(crate) fn tooling(index: usize) -> Tooling {
    Tooling { channel: Channel::TestRunners, track: track(index) }
}

pub(crate) fn version(index: usize) -> PinnedVersion {
    format!("git-{index:040x}@sha256:{index:064x}").parse().unwrap()
}

pub(crate) fn wall() -> Duration {
    Duration::from_secs(3)
}

impl JobPlan {
    pub(crate) fn new(number: u64, random: &mut Random) -> Self {
        // Few jobs for elixir, which only generic workers serve.
        let track = if random.chance(1) { 3 } else { random.index(3) };
        let deadline = random.chance(5).then(|| random.millis(20, 4000));
        Self {
            key: JobKey(u128::from(number)),
            track,
            version: random.index(VERSIONS),
            deadline,
            fresh: random.chance(2),
            build: random.chance(4),
        }
    }

    pub(crate) fn job(&self) -> Box<NewJob> {
        let spec = if self.build { self.build() } else { self.run() };
        Box::new(NewJob { spec, key: self.key, bytes: 600 })
    }

    fn build(&self) -> JobSpec {
        let request = BuildRequest {
            id: None,
            tooling: tooling(self.track),
            git_reference: self.key.to_string(),
            execution_timeout: None,
            deadline: self.deadline,
        };
        JobSpec::Build {
            request,
            tooling: Tooling { channel: Channel::Builders, track: track(self.track) },
            source: "https://example.org/tooling".to_owned(),
            limits: BuildLimits { wall: HumanDuration(wall()), ..BuildLimits::default() },
        }
    }

    fn run(&self) -> JobSpec {
        let version = version(self.version);
        let request = JobRequest {
            id: JobId::new(self.key.to_string()).unwrap(),
            tooling: tooling(self.track),
            exercise: ExerciseSlug::new("two-fer").unwrap(),
            input: "s3://submissions/1".parse().unwrap(),
            version: version.version.clone(),
            execution_timeout: None,
            deadline: self.deadline,
            fresh: self.fresh,
        };
        let limits = Limits { wall: HumanDuration(wall()), ..Limits::default() };
        JobSpec::Run { request, version, limits }
    }
}

/// What a job does on any worker.
pub(crate) enum JobBehavior {
    /// It ends after a while, with a verdict.
    Ends(Duration, Reason),
    /// It kills its worker.
    KillsWorker(Duration),
}

pub(crate) fn behavior_of(key: JobKey) -> JobBehavior {
    let mut random = Random::new(u64::try_from(key.0).unwrap() ^ 0x5eed);
    match random.below(1000) {
        0..2 => JobBehavior::KillsWorker(random.millis(1, 50)),
        2..30 => JobBehavior::Ends(random.millis(1000, 3500), Reason::WallTime),
        30..60 => JobBehavior::Ends(random.millis(1, 80), Reason::Download),
        60..120 => JobBehavior::Ends(random.millis(5, 80), Reason::ExitCode),
        _ => JobBehavior::Ends(random.millis(5, 80), Reason::Ok),
    }
}
