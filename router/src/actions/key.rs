//! Keys of jobs: two requests for the same work have the same key.

use sha2::{Digest as _, Sha256};
use trackyard_protocol::request::{BuildRequest, JobRequest};
use trackyard_protocol::token::JobKey;
use trackyard_protocol::version::PinnedVersion;

/// The caller of all requests without a CURVE key. Requests with a key are hashed with that key, so that nobody reads
/// another caller's answers by guessing an id.
const PLAIN_PEER: &str = "plain";

/// Returns the key of a job: a hash of the caller and of every field that changes the answer, so not of `fresh` and
/// `deadline_ms`.
pub(super) fn of_job(request: &JobRequest, version: &PinnedVersion, caller: Option<&str>) -> JobKey {
    let timeout = request.execution_timeout.map_or(0, |timeout| timeout.as_secs()).to_string();
    let mut fields = Fields::new(caller.unwrap_or(PLAIN_PEER));
    fields.add(&[request.tooling.channel.as_str()]);
    fields.add(&[request.id.as_str()]);
    fields.add(&version.parts());
    fields.add(&[request.tooling.track.as_str()]);
    fields.add(&[request.exercise.as_str()]);
    fields.add(&[request.input.as_str()]);
    fields.add(&[&timeout]);
    fields.hash()
}

/// Returns the key of a build: all callers that ask for the same reference of the same repository share one build,
/// whatever their ids.
pub(super) fn of_build(request: &BuildRequest, source: &str) -> JobKey {
    let tooling = &request.tooling;
    let mut fields = Fields::new(PLAIN_PEER);
    fields.add(&["build"]);
    fields.add(&[tooling.channel.as_str()]);
    fields.add(&[tooling.track.as_str()]);
    fields.add(&[source]);
    fields.add(&[&request.git_reference]);
    fields.hash()
}

/// The fields to hash, each with its length before it, so that no two lists of fields give the same bytes.
struct Fields(Vec<u8>);

impl Fields {
    fn new(caller: &str) -> Self {
        let mut fields = Self(Vec::with_capacity(1024));
        fields.add(&[caller]);
        fields
    }

    /// Adds the field that the parts form when they are joined.
    fn add(&mut self, parts: &[&str]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.0.extend_from_slice(&u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes());
        parts.iter().for_each(|part| self.0.extend_from_slice(part.as_bytes()));
    }

    fn hash(&self) -> JobKey {
        let digest: [u8; 32] = Sha256::digest(&self.0).into();
        JobKey(digest.first_chunk().map_or(0, |first| u128::from_be_bytes(*first)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use trackyard_protocol::channel::Channel;
    use trackyard_protocol::name::{ExerciseSlug, JobId, TrackSlug};
    use trackyard_protocol::request::Tooling;

    fn request() -> (JobRequest, PinnedVersion) {
        let version: PinnedVersion =
            format!("git-{}@sha256:{}", "a".repeat(40), "b".repeat(64)).parse().unwrap();
        let request = JobRequest {
            id: JobId::new("1").unwrap(),
            tooling: Tooling { channel: Channel::TestRunners, track: TrackSlug::new("ruby").unwrap() },
            exercise: ExerciseSlug::new("two-fer").unwrap(),
            input: "s3://bucket/1".parse().unwrap(),
            version: version.version.clone(),
            execution_timeout: None,
            deadline: None,
            fresh: false,
        };
        (request, version)
    }

    #[test]
    fn every_relevant_field_changes_the_key() {
        let (base, version) = request();
        let digest = PinnedVersion { digest: None, ..version.clone() };
        let mut keys = vec![
            of_job(&base, &version, None),
            of_job(&base, &digest, None),
            of_job(&base, &version, Some("key")),
        ];
        let mut change = |edit: &dyn Fn(&mut JobRequest)| {
            let mut other = base.clone();
            edit(&mut other);
            keys.push(of_job(&other, &version, None));
        };
        change(&|r| r.id = JobId::new("2").unwrap());
        change(&|r| r.tooling.channel = Channel::Representers);
        change(&|r| r.tooling.track = TrackSlug::new("nim").unwrap());
        change(&|r| r.exercise = ExerciseSlug::new("bob").unwrap());
        change(&|r| r.input = "s3://bucket/2".parse().unwrap());
        change(&|r| r.execution_timeout = Some(Duration::from_secs(3)));
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 9);
    }

    #[test]
    fn key_is_stable_across_releases() {
        let (base, version) = request();
        // After an upgrade workers still hold results with keys of the router before.
        assert_eq!(of_job(&base, &version, None).to_string(), "a43b34d8c7498501ff4f816fb08fbee3");
    }

    #[test]
    fn deadline_and_fresh_keep_the_key() {
        let (base, version) = request();
        let later = JobRequest { deadline: Some(Duration::from_secs(9)), fresh: true, ..base.clone() };
        assert_eq!(of_job(&base, &version, None), of_job(&later, &version, None));
    }
}
