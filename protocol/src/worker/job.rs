//! A job, as a worker receives it. What its attempts have in common is shared between them.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use crate::channel::Channel;
use crate::json::{ToJson, object};
use crate::limits::SharedLimits;
use crate::name::{ExerciseSlug, JobId, TrackSlug};
use crate::token::{JobKey, Token};
use crate::uri::InputUri;
use crate::version::PinnedVersion;

/// One attempt of a job. On the wire, its fields and those of the payload are one object.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Job {
    /// The token of this attempt.
    pub token: Token,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// Milliseconds for everything before the container starts.
    pub setup_ms: u64,
    /// Milliseconds from dispatch to the router's own deadline of this attempt.
    pub total_ms: u64,
    /// What all attempts have in common.
    #[serde(flatten, deserialize_with = "shared")]
    pub task: Arc<Task>,
}

/// What all attempts of a job have in common. The router has checked every field.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Task {
    /// The job's key.
    pub key: JobKey,
    /// The client's id; for logs only.
    pub id: JobId,
    /// The channel.
    pub channel: Channel,
    /// The track.
    pub track: TrackSlug,
    /// The exercise.
    pub exercise: ExerciseSlug,
    /// The container version with its digest.
    pub version: PinnedVersion,
    /// Where the submission is.
    pub input: InputUri,
    /// The limits to apply, `execution_timeout` already in `wall`.
    pub limits: SharedLimits,
}

impl Deref for Job {
    type Target = Task;

    fn deref(&self) -> &Task {
        &self.task
    }
}

impl ToJson for Job {
    fn to_json(&self, out: &mut Vec<u8>) {
        let Self { token, attempt, setup_ms, total_ms, task } = self;
        let Task { key, id, channel, track, exercise, version, input, limits } = &**task;
        object!(
            out, token, key, attempt, id, channel, track, exercise, version, input, limits, setup_ms,
            total_ms
        );
    }
}

fn shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Task>, D::Error> {
    Task::deserialize(deserializer).map(Arc::new)
}
