//! Builds that ContainerVersions ask for: submitted to the router, and looked after until they end. A reconciliation
//! orders one and reads how far it is; it never waits.

mod book;
mod clerk;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use futures_util::{Stream, stream};
use tokio::sync::watch::Receiver;
use trackyard_protocol::channel::Channel;

pub use clerk::start;

/// What is to be built, for which object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The object's UID, which is the id of its builds.
    pub uid: String,
    /// Which of its builds: another word is another try.
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
pub enum Progress {
    /// The router was asked, or is about to be.
    Asked,
    /// It waits for a builder.
    Waiting,
    /// A builder has it in hand.
    Running,
    /// It could not be done now; it is asked for again.
    Postponed {
        /// Why.
        why: String,
    },
    /// It is released.
    Built {
        /// The container version, which is the image's tag.
        version: String,
    },
    /// It ends like this however often it is asked for.
    Failed {
        /// The verdict, and the end of the log.
        why: String,
    },
}

/// How far each build is, by its object's UID, with the attempt that it is of.
type Seen = Arc<HashMap<String, (String, Progress)>>;

/// The builds. Clones are the same.
#[derive(Debug, Clone)]
pub struct Builds {
    /// None if there is no router to ask.
    orders: Option<Sender<Order>>,
    seen: Receiver<Seen>,
}

impl Builds {
    /// True if there is a router to ask.
    #[must_use]
    pub fn can_be_ordered(&self) -> bool {
        self.orders.is_some()
    }

    /// Lets something be built. The same order twice is one.
    pub fn order(&self, order: Order) {
        if let Some(orders) = &self.orders
            && orders.send(order).is_err()
        {
            tracing::error!("what asks the router for builds has ended");
        }
    }

    /// How far a build is; none if it was not ordered of this operator.
    #[must_use]
    pub fn progress(&self, uid: &str, attempt: &str) -> Option<Progress> {
        let seen = self.seen.borrow();
        seen.get(uid).filter(|(of, _)| of == attempt).map(|(_, progress)| progress.clone())
    }

    /// Gives something whenever a build is further.
    pub fn changes(&self) -> impl Stream<Item = ()> + Send + use<> {
        stream::unfold(self.seen.clone(), |mut seen| async move {
            seen.changed().await.ok()?;
            Some(((), seen))
        })
    }
}
