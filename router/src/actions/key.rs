//! What two requests for the same work have in common.

use sha2::{Digest as _, Sha256};
use trackyard_protocol::request::{BuildRequest, JobRequest};
use trackyard_protocol::token::JobKey;
use trackyard_protocol::version::PinnedVersion;

/// All peers without a key of their own. One with a key stands here with it, so that nobody reads another's answers by
/// guessing an id.
const PLAIN_PEER: &str = "plain";

/// The key of a job: a hash of who asks and of every field that changes the answer. `fresh` and `deadline_ms` do not.
pub(super) fn of(request: &JobRequest, version: &PinnedVersion, caller: Option<&str>) -> JobKey {
    let timeout = request.execution_timeout.map_or(0, |timeout| timeout.as_secs()).to_string();
    let mut fields = Fields::of(caller.unwrap_or(PLAIN_PEER));
    fields.add(&[request.place.channel.as_str()]);
    fields.add(&[request.id.as_str()]);
    fields.add(&version.parts());
    fields.add(&[request.place.track.as_str()]);
    fields.add(&[request.exercise.as_str()]);
    fields.add(&[request.input.as_str()]);
    fields.add(&[&timeout]);
    fields.hash()
}

/// The key of a build: who asks for the same reference of the same repository gets the same build, whatever the id.
pub(super) fn of_build(request: &BuildRequest, source: &str) -> JobKey {
    let place = &request.place;
    let mut fields = Fields::of(PLAIN_PEER);
    fields.add(&["build"]);
    fields.add(&[place.channel.as_str()]);
    fields.add(&[place.track.as_str()]);
    fields.add(&[source]);
    fields.add(&[&request.git_reference]);
    fields.hash()
}

/// Texts, each with its length before it, so that no two lists of texts give the same bytes.
struct Fields(Vec<u8>);

impl Fields {
    fn of(caller: &str) -> Self {
        let mut fields = Self(Vec::with_capacity(1024));
        fields.add(&[caller]);
        fields
    }

    /// Adds the text that these are when they are joined.
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
    use trackyard_protocol::request::Place;

    fn request() -> (JobRequest, PinnedVersion) {
        let version: PinnedVersion =
            format!("git-{}@sha256:{}", "a".repeat(40), "b".repeat(64)).parse().unwrap();
        let request = JobRequest {
            id: JobId::new("1").unwrap(),
            place: Place { channel: Channel::TestRunners, track: TrackSlug::new("ruby").unwrap() },
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
    fn each_field_that_changes_the_answer_changes_the_key() {
        let (base, version) = request();
        let digest = PinnedVersion { digest: None, ..version.clone() };
        let mut keys =
            vec![of(&base, &version, None), of(&base, &digest, None), of(&base, &version, Some("key"))];
        let mut change = |edit: &dyn Fn(&mut JobRequest)| {
            let mut other = base.clone();
            edit(&mut other);
            keys.push(of(&other, &version, None));
        };
        change(&|r| r.id = JobId::new("2").unwrap());
        change(&|r| r.place.channel = Channel::Representers);
        change(&|r| r.place.track = TrackSlug::new("nim").unwrap());
        change(&|r| r.exercise = ExerciseSlug::new("bob").unwrap());
        change(&|r| r.input = "s3://bucket/2".parse().unwrap());
        change(&|r| r.execution_timeout = Some(Duration::from_secs(3)));
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 9);
    }

    #[test]
    fn a_key_is_the_same_in_every_release() {
        let (base, version) = request();
        // Workers hold results of routers before the upgrade, which are known by it.
        assert_eq!(of(&base, &version, None).to_string(), "a43b34d8c7498501ff4f816fb08fbee3");
    }

    #[test]
    fn how_long_the_client_waits_does_not_change_the_key() {
        let (base, version) = request();
        let patient = JobRequest { deadline: Some(Duration::from_secs(9)), fresh: true, ..base.clone() };
        assert_eq!(of(&base, &version, None), of(&patient, &version, None));
    }
}
