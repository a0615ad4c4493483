//! Cases of the demo: an example, and the job that runs it.

use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::{JobId, TrackSlug};
use trackyard_protocol::version::ContainerVersion;

use super::expected::Expected;
use crate::error::CommandError;
use crate::local::LocalError;
use crate::local::layouts::LayoutVersions;
use crate::local::plan::WorkerPlan;
use crate::local::storage::BUCKET;
use crate::submit::JobRequest;

/// An example, the job that runs it, and the worker that must run the job.
#[derive(Debug, Clone)]
pub(super) struct DemoCase {
    /// The expected verdict.
    pub(super) expected: Expected,
    /// The job.
    pub(super) job: JobRequest,
    /// The name of the worker.
    pub(super) worker: String,
}

impl DemoCase {
    /// Creates a case. The job runs the last deployed version; a scoped worker runs the tests of its track.
    pub(super) fn new(
        number: usize,
        expected: Expected,
        versions: &LayoutVersions,
        scoped: &[TrackSlug],
    ) -> Result<Self, CommandError> {
        let channel = expected.channel;
        let track = expected.track.clone();
        let tags = versions.get(&channel).and_then(|tracks| tracks.get(&track));
        let version = tags
            .and_then(|tags| tags.last())
            .ok_or_else(|| LocalError::Examples(format!("there is no image of {track} for {channel}")))?;
        let job = JobRequest {
            id: JobId::new(format!("demo-{number}"))?,
            channel,
            track: track.clone(),
            exercise: expected.exercise.clone(),
            input: format!("s3://{BUCKET}/{}", expected.dir).parse()?,
            version: version.clone(),
            timeout: expected.execution_timeout,
            deadline: None,
            fresh: false,
        };
        let is_scoped = channel == Channel::TestRunners && scoped.contains(&track);
        let worker = WorkerPlan { channel, track: is_scoped.then_some(track), flags: Vec::new() }.name();
        Ok(Self { expected, job, worker })
    }

    /// Returns the case's name, such as `ruby leap/failing`.
    pub(super) fn name(&self) -> String {
        let sample = self.expected.dir.rsplit('/').next().unwrap_or_default();
        format!("{} {}/{sample}", self.expected.track, self.expected.exercise)
    }

    /// Prefixes findings with the case's name.
    pub(super) fn prefix(&self, findings: Vec<String>) -> Vec<String> {
        findings
            .into_iter()
            .map(|finding| format!("{} ({}): {finding}", self.name(), self.expected.channel))
            .collect()
    }
}

/// A container version of a channel and track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deployment {
    /// The channel.
    pub(super) channel: Channel,
    /// The track.
    pub(super) track: TrackSlug,
    /// The version.
    pub(super) version: ContainerVersion,
}

/// Removes the last version of a test runner that has several, so that there is one to deploy.
pub(super) fn withhold_version(versions: &mut LayoutVersions) -> Result<Deployment, LocalError> {
    let tracks = versions.get_mut(&Channel::TestRunners);
    for (track, tags) in tracks.into_iter().flatten() {
        if tags.len() > 1
            && let Some(version) = tags.pop()
        {
            return Ok(Deployment { channel: Channel::TestRunners, track: track.clone(), version });
        }
    }
    let why = "no test runner has a second version to deploy; build the images with `--also-next python`";
    Err(LocalError::Examples(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn version(digit: char) -> ContainerVersion {
        format!("git-{}", digit.to_string().repeat(40)).parse().unwrap()
    }

    #[test]
    fn one_of_two_versions_is_withheld() {
        let slug = |name: &str| TrackSlug::new(name).unwrap();
        let tracks = BTreeMap::from([
            (slug("go"), vec![version('a')]),
            (slug("ruby"), vec![version('b'), version('c')]),
        ]);
        let mut versions = LayoutVersions::from([(Channel::TestRunners, tracks)]);
        let withheld = withhold_version(&mut versions).unwrap();
        assert_eq!((withheld.track, withheld.version), (slug("ruby"), version('c')));
        assert_eq!(versions[&Channel::TestRunners][&slug("ruby")], [version('b')]);
        assert!(withhold_version(&mut versions).unwrap_err().to_string().contains("--also-next"));
    }
}
