//! One build, as a driver goes about it.

use tokio_util::sync::CancellationToken;

use super::tail::Tail;
use super::{Error, Order};
use crate::confine::{Bounds, Cage, Line, Program, run};

/// One build with all that it runs in.
pub struct Attempt<'a> {
    /// What to build.
    pub order: &'a Order,
    /// Where its processes are.
    pub cage: &'a dyn Cage,
    /// Where its lines go.
    pub line: &'a Line<'a>,
    /// Ends it.
    pub stop: &'a CancellationToken,
}

impl Attempt<'_> {
    /// Runs one program of the build to its good end.
    pub(super) async fn step(&self, program: &Program) -> Result<(), Error> {
        let tail = Tail::default();
        let told = |text: &str| {
            tail.push(text);
            (self.line)(text);
        };
        let Order { idle, disk, dir, .. } = self.order;
        let bounds = Bounds { idle: *idle, disk: *disk, dir: dir.clone() };
        match run(program, self.cage, &bounds, &told, self.stop).await? {
            Some(0) => Ok(()),
            _ => Err(Error::Failed { said: tail.text() }),
        }
    }
}
