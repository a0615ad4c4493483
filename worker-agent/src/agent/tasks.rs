//! The tasks that run beside the agent's loop.

use std::collections::HashMap;

use tokio::task::{Id, JoinSet};
use trackyard_protocol::token::{JobKey, Token};
use trackyard_protocol::worker::TrackVersion;

use super::jobs::JobDone;
use crate::bootstrap::Bootstrap;
use crate::versions::desired::PrepareFailure;
use crate::versions::prepare::ReadyVersion;

/// The outcome of a task.
pub(super) enum TaskOutcome {
    /// A job left its slot.
    JobDone(Box<JobDone>),
    /// A job's task panicked. Its slot is lost.
    JobPanicked { token: Token, key: JobKey },
    /// The preparation of a version ended.
    Prepared { version: TrackVersion, result: Result<ReadyVersion, PrepareFailure> },
    /// The router has answered a bootstrap request.
    Bootstrapped(Bootstrap),
    /// There is nothing to handle.
    Nothing,
}

/// The running tasks. A panic of a task is a bug; the job or preparation that it ran is reported as failed.
#[derive(Default)]
pub(super) struct Tasks {
    set: JoinSet<TaskOutcome>,
    kinds: HashMap<Id, TaskKind>,
}

pub(super) enum TaskKind {
    Job(Token, JobKey),
    Prepare(TrackVersion),
    Other,
}

impl Tasks {
    pub(super) fn spawn(&mut self, kind: TaskKind, work: impl Future<Output = TaskOutcome> + Send + 'static) {
        let id = self.set.spawn(work).id();
        self.kinds.insert(id, kind);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Waits for the next task to end. Cancel-safe.
    pub(super) async fn next(&mut self) -> TaskOutcome {
        match self.set.join_next_with_id().await {
            None => TaskOutcome::Nothing,
            Some(Ok((id, done))) => {
                self.kinds.remove(&id);
                done
            }
            Some(Err(error)) => {
                tracing::error!(%error, "a task panicked");
                self.on_panic(error.id())
            }
        }
    }

    fn on_panic(&mut self, id: Id) -> TaskOutcome {
        match self.kinds.remove(&id) {
            Some(TaskKind::Job(token, key)) => TaskOutcome::JobPanicked { token, key },
            Some(TaskKind::Prepare(version)) => {
                TaskOutcome::Prepared { version, result: Err(PrepareFailure::internal()) }
            }
            Some(TaskKind::Other) | None => TaskOutcome::Nothing,
        }
    }
}
