//! A job as it is sent, and what its answer says of its way.

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

/// A job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Its channel; one of the tooling channels.
    pub channel: Channel,
    /// Its track.
    pub track: TrackSlug,
    /// Its exercise.
    pub exercise: ExerciseSlug,
    /// Where its files are.
    pub input: InputUri,
    /// The container version that runs it.
    pub version: ContainerVersion,
    /// How many seconds its container may run.
    pub timeout: Option<u32>,
    /// How long the client waits.
    pub deadline: Option<HumanDuration>,
    /// Run again, even if the answer is known.
    pub fresh: bool,
}

impl Job {
    /// The message.
    #[must_use]
    pub fn request(&self) -> Value {
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

    /// How long the router may take, and some seconds more: its own deadline, or the time in the queue and two
    /// attempts, each with set-up, the container's time and the way back.
    #[must_use]
    pub fn patience(&self) -> Duration {
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

/// One line for each phase that the job went through.
#[must_use]
pub(super) fn phases(answer: &Answer) -> Vec<String> {
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

    fn job(channel: Channel) -> Job {
        Job {
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
    fn the_router_reads_what_is_sent(#[case] channel: Channel) {
        let job = job(channel);
        let body = job.request().to_string();
        let shape = Shape::read(body.as_bytes()).unwrap();
        let Ok(Request::Job(read)) = shape.check() else { panic!("not a job: {body}") };
        assert_eq!((read.place.channel, &read.id, &read.input), (channel, &job.id, &job.input));
        assert_eq!(read.execution_timeout, Some(Duration::from_secs(5)));
        assert_eq!((read.deadline, read.fresh), (job.deadline.map(|d| d.0), true));
    }

    #[test]
    fn patience_outlasts_the_routers_own_deadlines() {
        let with_deadline = job(Channel::TestRunners);
        assert!(with_deadline.patience() > Duration::from_millis(1500));
        let without = Job { deadline: None, timeout: None, ..with_deadline };
        assert!(without.patience() > Duration::from_secs(10 + 2 * (15 + 60 + 5)));
    }
}
