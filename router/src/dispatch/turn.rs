//! One turn of the dispatcher: the time, and what is to be done.

use trackyard_protocol::worker::FromRouter;

use super::{Action, Answer, Counter, Peer, Time, Waiter};

/// The time of an event, and the actions that it leads to.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) now: Time,
    actions: &'a mut Vec<Action>,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(now: Time, actions: &'a mut Vec<Action>) -> Self {
        Self { now, actions }
    }

    pub(crate) fn answer(&mut self, waiter: Waiter, answer: impl Into<Answer>) {
        self.actions.push(Action::Answer { waiter, answer: answer.into() });
    }

    pub(crate) fn send(&mut self, peer: Peer, message: FromRouter) {
        self.actions.push(Action::Send { peer, message });
    }

    pub(crate) fn count(&mut self, counter: Counter) {
        self.actions.push(Action::Count(counter));
    }
}
