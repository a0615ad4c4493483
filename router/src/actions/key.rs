//! What two requests for the same work have in common.

use sha2::{Digest as _, Sha256};
use trackyard_protocol::request::{BuildRequest, JobRequest};
use trackyard_protocol::token::JobKey;
use trackyard_protocol::version::PinnedVersion;

/// All peers without a key of their own. One with a key stands here with it, so that nobody reads another's answers by
/// guessing an id.
const PLAIN_PEER: &[u8] = b"plain";

/// The key of a job: a hash of who asks and of every field that changes the answer. `fresh` and `deadline_ms` do not.
pub(super) fn of(request: &JobRequest, version: &PinnedVersion, caller: Option<&str>) -> JobKey {
    let timeout = request.execution_timeout.map_or(0, |timeout| timeout.as_secs());
    let texts = [
        request.place.channel.as_str().to_owned(),
        request.id.to_string(),
        version.to_string(),
        request.place.track.to_string(),
        request.exercise.to_string(),
        request.input.to_string(),
        timeout.to_string(),
    ];
    hash(caller.map_or(PLAIN_PEER, str::as_bytes), texts.iter().map(String::as_str))
}

/// The key of a build: who asks for the same reference of the same repository gets the same build, whatever the id.
pub(super) fn of_build(request: &BuildRequest, source: &str) -> JobKey {
    let place = &request.place;
    hash(
        PLAIN_PEER,
        ["build", place.channel.as_str(), place.track.as_str(), source, &request.git_reference].into_iter(),
    )
}

fn hash<'a>(caller: &[u8], texts: impl Iterator<Item = &'a str>) -> JobKey {
    let mut hash = Sha256::new();
    field(&mut hash, caller);
    texts.for_each(|text| field(&mut hash, text.as_bytes()));
    let digest: [u8; 32] = hash.finalize().into();
    JobKey(digest.iter().take(16).fold(0, |key, byte| key << 8 | u128::from(*byte)))
}

/// The length goes first, so that no two lists of fields give the same bytes.
fn field(hash: &mut Sha256, bytes: &[u8]) {
    hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(bytes);
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
    fn how_long_the_client_waits_does_not_change_the_key() {
        let (base, version) = request();
        let patient = JobRequest { deadline: Some(Duration::from_secs(9)), fresh: true, ..base.clone() };
        assert_eq!(of(&base, &version, None), of(&patient, &version, None));
    }
}
