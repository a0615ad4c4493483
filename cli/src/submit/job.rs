//! A job request, and the phases in its answer.

use std::time::Duration;

use serde_json::{Value, json};
use trackyard_protocol::answer::Answer;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::{ExerciseSlug, JobId, TrackSlug};
use trackyard_protocol::quantity::HumanDuration;
use trackyard_protocol::request::Action;
use trackyard_protocol::uri::InputUri;
use trackyard_protocol::version::ContainerVersion;

use crate::verdict;

/// A job to send to the router.
#[derive(Debug, Clone)]
pub struct JobRequest {
    /// The job's id.
    pub id: JobId,
    /// One of the tooling channels.
    pub channel: Channel,
    /// The track.
    pub track: TrackSlug,
    /// The exercise.
    pub exercise: ExerciseSlug,
    /// Where the submission's files are.
    pub input: InputUri,
    /// The container version that runs it.
    pub version: ContainerVersion,
    /// How many seconds the container may run; the track's limit if absent.
    pub timeout: Option<u32>,
    /// How long the client waits for the answer.
    pub deadline: Option<HumanDuration>,
    /// Run the job again, even if the router has an answer for this id.
    pub fresh: bool,
}

impl JobRequest {
    /// Returns the request's body.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut request = json!({
            "action": action(self.channel).to_string(),
            "id": self.id,
            "track_slug": self.track,
            "exercise_slug": self.exercise,
            "s3_uri": self.input,
            "container_version": self.version,
        });
        if let Some(fields) = request.as_object_mut() {
            fields.extend(self.timeout.map(|seconds| ("execution_timeout".to_owned(), json!(seconds))));
            let millis = self.deadline.map(|d| u64::try_from(d.0.as_millis()).unwrap_or(u64::MAX));
            fields.extend(millis.map(|millis| ("deadline_ms".to_owned(), json!(millis))));
            fields.extend(self.fresh.then(|| ("fresh".to_owned(), json!(true))));
        }
        request
    }

    /// Returns how long to wait for the answer. This is longer than the router may take: until the job's deadline, or
    /// for the time in the queue and two attempts, each with set-up, the container's time and the result's transfer.
    #[must_use]
    pub fn answer_timeout(&self) -> Duration {
        let grace = Duration::from_secs(5);
        let attempt = 15 + u64::from(self.timeout.unwrap_or(60)) + 5;
        self.deadline.map_or(Duration::from_secs(10 + 2 * attempt), |deadline| deadline.0) + grace
    }
}

const fn action(channel: Channel) -> Action {
    match channel {
        Channel::StaticAnalyzers => Action::AnalyzeIteration,
        Channel::Representers => Action::Represent,
        Channel::TestRunners | Channel::Builders => Action::TestSolution,
    }
}

/// Formats a line for each phase that the job went through.
pub(super) fn phase_lines(answer: &Answer) -> Vec<String> {
    let usage = |field: &str| answer.context.pointer(&format!("/usage/{field}")).and_then(Value::as_u64);
    let mut lines = Vec::new();
    lines.extend(usage("queue_ms").map(|ms| format!("queued  {ms} ms")));
    lines.extend(usage("setup_ms").map(|ms| format!("set up  {ms} ms on {}", verdict::worker(answer))));
    lines.extend(usage("wall_ms").map(|ms| {
        let peak =
            usage("memory_peak_bytes").map_or_else(String::new, |b| format!(", {} Mi of memory", b >> 20));
        format!("ran     {ms} ms{peak}")
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use trackyard_protocol::request::{Request, Shape};

    fn job(channel: Channel) -> JobRequest {
        JobRequest {
            id: JobId::new("1").unwrap(),
            channel,
            track: TrackSlug::new("ruby").unwrap(),
            exercise: ExerciseSlug::new("two-fer").unwrap(),
            input: "s3://submissions/1".parse().unwrap(),
            version: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
            timeout: Some(5),
            deadline: Some(HumanDuration(Duration::from_millis(1500))),
            fresh: true,
        }
    }

    #[rstest]
    #[case(Channel::TestRunners)]
    #[case(Channel::StaticAnalyzers)]
    #[case(Channel::Representers)]
    fn the_router_can_parse_the_request(#[case] channel: Channel) {
        let job = job(channel);
        let body = job.body().to_string();
        let shape = Shape::read(body.as_bytes()).unwrap();
        let Ok(Request::Job(read)) = shape.check() else { panic!("not a job: {body}") };
        assert_eq!((read.tooling.channel, &read.id, &read.input), (channel, &job.id, &job.input));
        assert_eq!(read.execution_timeout, Some(Duration::from_secs(5)));
        assert_eq!((read.deadline, read.fresh), (job.deadline.map(|d| d.0), true));
    }

    #[test]
    fn the_client_waits_longer_than_the_router() {
        let with_deadline = job(Channel::TestRunners);
        assert!(with_deadline.answer_timeout() > Duration::from_millis(1500));
        let without = JobRequest { deadline: None, timeout: None, ..with_deadline };
        assert!(without.answer_timeout() > Duration::from_secs(10 + 2 * (15 + 60 + 5)));
    }
}
