//! Commands of other threads to the service.

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

/// A command of another thread.
#[derive(Debug)]
pub enum Command {
    /// A background task has ended.
    Reply(Waiter, Reply),
    /// The configuration changed.
    Config(Arc<Config>),
    /// Send the state of the dispatcher.
    Snapshot(oneshot::Sender<Snapshot>),
    /// Finish what was accepted, then stop.
    Drain,
    /// Stop without waiting for running jobs.
    Stop,
}

/// Sends commands to the service. Clones reach the same service.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: Sender<Command>,
    waker: Waker,
}

/// Returns a handle and the receiver of its commands.
#[must_use]
pub fn channel(waker: Waker) -> (Handle, Receiver<Command>) {
    let (commands, receiver) = mpsc::channel();
    (Handle { commands, waker }, receiver)
}

impl Handle {
    /// Sends a command. It is dropped if the service has ended.
    pub fn send(&self, command: Command) {
        if self.commands.send(command).is_ok() {
            self.waker.wake();
        }
    }

    /// Returns the state of the dispatcher; `None` if the service has ended.
    pub async fn snapshot(&self) -> Option<Snapshot> {
        let (sender, receiver) = oneshot::channel();
        self.send(Command::Snapshot(sender));
        receiver.await.ok()
    }
}

impl Service {
    pub(super) fn handle_commands(&mut self) {
        loop {
            match self.parts.commands.try_recv() {
                Ok(command) => self.handle(command),
                Err(TryRecvError::Empty) => return,
                // Without a handle nothing could stop the service later.
                Err(TryRecvError::Disconnected) => return self.drain(Exit::Stop),
            }
        }
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Reply(waiter, reply) => self.reply_to(waiter, &reply),
            Command::Config(config) => self.on_config(config),
            Command::Snapshot(sender) => {
                // The receiver may have timed out.
                let _ = sender.send(self.dispatch.snapshot());
            }
            Command::Drain => self.drain(Exit::Stop),
            Command::Stop => self.exit_now(),
        }
    }

    fn on_config(&mut self, config: Arc<Config>) {
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
