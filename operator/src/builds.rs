//! Builds of the git references that ContainerVersions name. A background thread submits each build to the router and polls
//! it until it ends. A reconciliation requests a build and reads its stage; it never waits.

mod client;
#[cfg(test)]
mod tests;
mod tracker;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use futures_util::{Stream, stream};
use tokio::sync::watch::Receiver;
use trackyard_protocol::channel::Channel;

pub use client::start;

/// What to build, and for which object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildSpec {
    /// The object's UID, which is also the id of its builds.
    pub uid: String,
    /// Identifies the attempt; another value starts another build.
    pub attempt: String,
    /// The kind of tooling.
    pub channel: Channel,
    /// The track's slug.
    pub track: String,
    /// A sha, a branch or a tag.
    pub git_reference: String,
}

/// How far a build is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildStage {
    /// The build was requested of the router, or is about to be.
    Requested,
    /// The build waits for a builder.
    Waiting,
    /// A builder runs the build.
    Running,
    /// The build failed for a reason that may pass; it will be submitted again.
    Postponed {
        /// The verdict.
        why: String,
    },
    /// The image is released.
    Built {
        /// The container version, which is the image's tag.
        version: String,
    },
    /// The build failed, and would fail again.
    Failed {
        /// The verdict, and the end of the log.
        why: String,
    },
}

/// The attempt and the stage of each build, by its object's UID.
type BuildStages = Arc<HashMap<String, (String, BuildStage)>>;

/// The builds of this operator. Clones share them.
#[derive(Debug, Clone)]
pub struct Builds {
    /// None without a router.
    requests: Option<Sender<BuildSpec>>,
    stages: Receiver<BuildStages>,
}

impl Builds {
    /// Returns whether there is a router to build with.
    #[must_use]
    pub fn has_router(&self) -> bool {
        self.requests.is_some()
    }

    /// Requests a build. A repeated request keeps the build alive and does not start another.
    pub fn request(&self, spec: BuildSpec) {
        if let Some(requests) = &self.requests
            && requests.send(spec).is_err()
        {
            tracing::error!("cannot request a build: the build thread has ended; restart the operator");
        }
    }

    /// Returns the stage of a build; none if this operator has not requested it.
    #[must_use]
    pub fn stage(&self, uid: &str, attempt: &str) -> Option<BuildStage> {
        let stages = self.stages.borrow();
        stages.get(uid).filter(|(of, _)| of == attempt).map(|(_, stage)| stage.clone())
    }

    /// Returns a stream with an item whenever a stage changes.
    pub fn changes(&self) -> impl Stream<Item = ()> + Send + use<> {
        stream::unfold(self.stages.clone(), |mut stages| async move {
            stages.changed().await.ok()?;
            Some(((), stages))
        })
    }
}
