//! What goes on beside the agent's loop, and how it ended.

use std::collections::HashMap;

use tokio::task::{Id, JoinSet};
use trackyard_protocol::token::{JobKey, Token};
use trackyard_protocol::worker::TrackVersion;

use super::jobs::JobDone;
use crate::bootstrap::Bootstrap;
use crate::versions::desired::Failure;
use crate::versions::prepare::Ready;

/// What a task brought about.
pub(super) enum Done {
    /// A job left its slot.
    Job(Box<JobDone>),
    /// A job's task broke, and its slot with it.
    JobLost { token: Token, key: JobKey },
    /// A preparation ended.
    Prepared { version: TrackVersion, result: Result<Ready, Failure> },
    /// The router told where its workers' port is.
    Bootstrapped(Bootstrap),
    /// Nothing that the agent must know.
    Nothing,
}

/// The running tasks. A task that panics is a bug of this program; the job or preparation that it was is told of.
#[derive(Default)]
pub(super) struct Tasks {
    set: JoinSet<Done>,
    purposes: HashMap<Id, Purpose>,
}

pub(super) enum Purpose {
    Job(Token, JobKey),
    Prepare(TrackVersion),
    Other,
}

impl Tasks {
    pub(super) fn spawn(&mut self, purpose: Purpose, work: impl Future<Output = Done> + Send + 'static) {
        let id = self.set.spawn(work).id();
        self.purposes.insert(id, purpose);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Waits for the next task to end. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Done {
        match self.set.join_next_with_id().await {
            None => Done::Nothing,
            Some(Ok((id, done))) => {
                self.purposes.remove(&id);
                done
            }
            Some(Err(error)) => {
                tracing::error!(%error, "a task broke");
                self.broken(error.id())
            }
        }
    }

    fn broken(&mut self, id: Id) -> Done {
        match self.purposes.remove(&id) {
            Some(Purpose::Job(token, key)) => Done::JobLost { token, key },
            Some(Purpose::Prepare(version)) => Done::Prepared { version, result: Err(Failure::of_a_bug()) },
            Some(Purpose::Other) | None => Done::Nothing,
        }
    }
}
