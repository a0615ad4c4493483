//! What other threads want of the service.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};

use tokio::sync::oneshot;

use super::Service;
use super::deployment::deployment;
use super::phase::Exit;
use crate::actions::Reply;
use crate::config::Config;
use crate::dispatch::{Event, Snapshot, Waiter};
use crate::socket::Waker;

/// What other threads want of the service.
#[derive(Debug)]
pub enum Command {
    /// An errand is done.
    Reply(Waiter, Reply),
    /// The configuration changed.
    Config(Arc<Config>),
    /// Somebody wants to know what the dispatcher holds.
    Snapshot(oneshot::Sender<Snapshot>),
    /// Finish what was accepted, then end.
    Drain,
    /// End now.
    Leave,
}

/// How other threads reach the service. Clones reach the same one.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: Sender<Command>,
    waker: Waker,
}

/// A handle and its other end.
#[must_use]
pub fn channel(waker: Waker) -> (Handle, Receiver<Command>) {
    let (commands, receiver) = mpsc::channel();
    (Handle { commands, waker }, receiver)
}

impl Handle {
    /// Sends a command; one that has ended takes none, and needs none.
    pub fn send(&self, command: Command) {
        if self.commands.send(command).is_ok() {
            self.waker.wake();
        }
    }

    /// What the dispatcher holds; `None` if the service has ended.
    pub async fn snapshot(&self) -> Option<Snapshot> {
        let (sender, receiver) = oneshot::channel();
        self.send(Command::Snapshot(sender));
        receiver.await.ok()
    }
}

impl Service {
    pub(super) fn take_commands(&mut self) {
        loop {
            match self.parts.commands.try_recv() {
                Ok(command) => self.obey(command),
                Err(TryRecvError::Empty) => return,
                // Nobody is left who could ask for the end: it is asked for.
                Err(TryRecvError::Disconnected) => return self.drain(Exit::Stop),
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Reply(waiter, reply) => self.reply_to(waiter, &reply),
            Command::Config(config) => self.take_config(config),
            Command::Snapshot(sender) => {
                // Who asked may have left.
                let _ = sender.send(self.dispatch.snapshot());
            }
            Command::Drain => self.drain(Exit::Stop),
            Command::Leave => self.leave(),
        }
    }

    fn take_config(&mut self, config: Arc<Config>) {
        let before = std::mem::replace(&mut self.parts.config, config);
        let old = deployment(&before.container_versions);
        let new = deployment(&self.parts.config.container_versions);
        let settings = super::settings(&self.parts);
        self.feed(Event::Settings(Box::new(settings)));
        let is_first = before.cluster.is_loading && !self.parts.config.cluster.is_loading;
        if !self.parts.config.cluster.is_loading && (is_first || old != new) {
            self.feed(Event::Deployed(new));
        }
    }
}
