//! An example as a job.

use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::{JobId, TrackSlug};
use trackyard_protocol::version::ContainerVersion;

use super::expected::Expected;
use crate::error::Error as CommandError;
use crate::local::Error;
use crate::local::layouts::Versions;
use crate::local::plan::WorkerPlan;
use crate::local::storage::BUCKET;
use crate::submit::Job;

/// An example, the job that it becomes, and the worker that must run it.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// How it must end.
    pub(super) expected: Expected,
    /// The job.
    pub(super) job: Job,
    /// The worker's name.
    pub(super) worker: String,
}

impl Case {
    /// The job runs the last deployed version; a scoped worker takes its track's test runs.
    pub(super) fn new(
        number: usize,
        expected: Expected,
        versions: &Versions,
        scoped: &[TrackSlug],
    ) -> Result<Self, CommandError> {
        let (channel, track) = (expected.channel, expected.track.clone());
        let version =
            versions.get(&channel).and_then(|tracks| tracks.get(&track)).and_then(|tags| tags.last());
        let missing = || Error::Examples(format!("there is no image of {track} for {channel}"));
        let job = Job {
            id: JobId::new(format!("demo-{number}"))?,
            channel,
            track: track.clone(),
            exercise: expected.exercise.clone(),
            input: format!("s3://{BUCKET}/{}", expected.dir).parse()?,
            version: version.ok_or_else(missing)?.clone(),
            timeout: expected.execution_timeout,
            deadline: None,
            fresh: false,
        };
        let own = channel == Channel::TestRunners && scoped.contains(&track);
        let worker = WorkerPlan { channel, track: own.then_some(track), flags: Vec::new() }.name();
        Ok(Self { expected, job, worker })
    }

    /// Such as `ruby leap/failing`.
    pub(super) fn name(&self) -> String {
        let sample = self.expected.dir.rsplit('/').next().unwrap_or_default();
        format!("{} {}/{sample}", self.expected.track, self.expected.exercise)
    }

    /// Findings with the case's name before each.
    pub(super) fn named(&self, findings: Vec<String>) -> Vec<String> {
        findings
            .into_iter()
            .map(|finding| format!("{} ({}): {finding}", self.name(), self.expected.channel))
            .collect()
    }
}

/// A version that is not deployed at first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deployment {
    /// Its channel.
    pub(super) channel: Channel,
    /// Its track.
    pub(super) track: TrackSlug,
    /// The version.
    pub(super) version: ContainerVersion,
}

/// Takes the last of a test runner's versions away, so that there is one to deploy.
pub(super) fn hold_back(versions: &mut Versions) -> Result<Deployment, Error> {
    let tracks = versions.get_mut(&Channel::TestRunners);
    for (track, tags) in tracks.into_iter().flatten() {
        if tags.len() > 1
            && let Some(version) = tags.pop()
        {
            return Ok(Deployment { channel: Channel::TestRunners, track: track.clone(), version });
        }
    }
    let why = "no test runner has a second version to deploy; build the images with `--also-next python`";
    Err(Error::Examples(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn version(digit: char) -> ContainerVersion {
        format!("git-{}", digit.to_string().repeat(40)).parse().unwrap()
    }

    #[test]
    fn one_version_is_held_back_and_one_stays() {
        let slug = |name: &str| TrackSlug::new(name).unwrap();
        let tracks = BTreeMap::from([
            (slug("go"), vec![version('a')]),
            (slug("ruby"), vec![version('b'), version('c')]),
        ]);
        let mut versions = Versions::from([(Channel::TestRunners, tracks)]);
        let held = hold_back(&mut versions).unwrap();
        assert_eq!((held.track, held.version), (slug("ruby"), version('c')));
        assert_eq!(versions[&Channel::TestRunners][&slug("ruby")], [version('b')]);
        assert!(hold_back(&mut versions).unwrap_err().to_string().contains("--also-next"));
    }
}
