//! What the pure parts want, done.

use std::sync::Arc;
use std::time::Instant;

use trackyard_protocol::version::Digest;
use trackyard_protocol::worker::{FromWorker, TrackVersion, Welcome};

use super::Agent;
use super::tasks::{Done, Purpose};
use crate::bootstrap::Bootstrap;
use crate::connection::{Action, Event};
use crate::input::Inputs;
use crate::trust::Refused;
use crate::versions::desired::{self, Failure};
use crate::versions::prepare::{Preparer, Ready};

impl Agent {
    /// Something happened to the talk with the router.
    pub(super) fn happens(&mut self, event: Event) {
        for action in self.connection.on(event, Instant::now()) {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Open => self.open(),
            Action::Close => self.close(),
            Action::Send(message) => self.send(message),
            Action::Configure(welcome) => self.configure(&welcome),
            Action::Prepare(desired) => {
                let actions = self.versions.desire(&desired.versions, Instant::now());
                self.prepare(actions);
            }
            Action::Start(job) => self.start_job(*job),
            Action::Build(build) => self.start_build(*build),
            Action::Stop { token, why } => self.stop_job(token, why),
            Action::Bootstrap => self.ask_again(),
            Action::Exit => self.leaving = true,
        }
    }

    fn open(&mut self) {
        let peer = self.bootstrap.peer.clone();
        tracing::info!(address = peer.address, "connecting to the router");
        self.generation = self.socket.open(peer);
    }

    fn close(&mut self) {
        tracing::warn!("the connection to the router is given up, and opened anew");
        self.metrics.reopened();
        self.outgoing.clear();
        self.socket.close();
        // What still comes from the old socket is not heard any more.
        self.generation = 0;
    }

    pub(super) fn send(&mut self, word: FromWorker) {
        let socket = &self.socket;
        self.outgoing.say(word, self.connection.reads_batches(), |message| socket.send(message));
    }

    /// Ends a turn: what it wanted said leaves.
    pub(super) fn flush(&mut self) {
        let socket = &self.socket;
        self.outgoing.flush(self.connection.reads_batches(), |message| socket.send(message));
    }

    fn configure(&mut self, welcome: &Welcome) {
        tracing::info!(epoch = %welcome.epoch, "welcomed by the router");
        self.gates.router.open();
        let policy = self.trust.inputs(&welcome.inputs);
        if self.inputs.as_ref().is_none_or(|inputs| *inputs.policy() != policy) {
            let inputs = Inputs::new(policy);
            self.inputs = Some(inputs.clone());
            self.tasks.spawn(Purpose::Other, async move {
                inputs.warm_up().await;
                Done::Nothing
            });
        }
        self.use_images(self.trust.images(&welcome.images).cloned());
    }

    fn use_images(&mut self, source: Result<trackyard_protocol::source::ImageSource, Refused>) {
        if self.preparer.as_ref().is_some_and(|preparer| *preparer.source() == source) {
            return;
        }
        if let Err(refused) = &source {
            tracing::error!(%refused, "no image can be prepared");
        }
        let channel = self.asker.url.channel;
        let (store, host, options) = (self.store.clone(), self.host.clone(), self.images.clone());
        self.preparer = Some(Preparer::new(store, host, channel, options, source));
        // What failed with the old source may succeed with the new one.
        let actions = self.versions.try_again(Instant::now());
        self.prepare(actions);
    }

    pub(super) fn prepare(&mut self, actions: Vec<desired::Action>) {
        for action in actions {
            match action {
                desired::Action::Prepare(version) => self.start_preparing(version),
                desired::Action::Ready(version) => {
                    tracing::info!(track = %version.track, version = %version.version, "ready");
                    self.happens(Event::VersionReady(version));
                }
                desired::Action::Failed(failed) => self.happens(Event::VersionFailed(failed)),
                desired::Action::Gone(version) => {
                    self.forget(&version);
                    self.happens(Event::VersionGone(version));
                }
                desired::Action::Collect(keep) => self.collect(keep),
            }
        }
        self.tell_readiness();
    }

    fn tell_readiness(&mut self) {
        if self.settled {
            return;
        }
        if self.versions.is_settled() {
            self.settled = true;
            return self.gates.versions.open();
        }
        let first = self.versions.unsettled().next();
        let count = self.versions.unsettled().count();
        if let Some(TrackVersion { track, version }) = first {
            self.gates.versions.close(format!("{count} to prepare, {track} {} among them", version.version));
        }
    }

    fn start_preparing(&mut self, version: TrackVersion) {
        let preparer = self.preparer.clone();
        self.tasks.spawn(Purpose::Prepare(version.clone()), async move {
            let result = match preparer {
                Some(preparer) => preparer.prepare(&version).await,
                None => Err(Failure::of_a_bug()),
            };
            Done::Prepared { version, result }
        });
    }

    pub(super) fn prepared(&mut self, version: &TrackVersion, result: Result<Ready, Failure>) {
        if let Err(Failure { reason, message, .. }) = &result {
            tracing::warn!(track = %version.track, version = %version.version, %reason, message, "not ready");
        }
        let result = result.map(|ready| {
            self.ready.insert(version.clone(), Arc::new(ready));
        });
        let actions = self.versions.prepared(version, result, Instant::now());
        if !actions.contains(&desired::Action::Ready(version.clone())) {
            self.forget(version);
        }
        self.prepare(actions);
    }

    /// Its image is collected the next time.
    fn forget(&mut self, version: &TrackVersion) {
        self.gone.extend(self.ready.remove(version));
    }

    pub(super) fn collect(&mut self, keep: Vec<Digest>) {
        let (store, gone) = (self.store.clone(), std::mem::take(&mut self.gone));
        self.tasks.spawn(Purpose::Other, async move {
            // Not in the agent's loop: it waits for a collection that goes on.
            let _ = tokio::task::spawn_blocking(move || drop(gone)).await;
            match store.collect_garbage(&keep).await {
                Ok(gone) if gone.is_empty() => {}
                Ok(gone) => tracing::info!(images = gone.len(), "images removed"),
                Err(error) => tracing::warn!(%error, "images that nobody needs stay"),
            }
            Done::Nothing
        });
    }

    fn ask_again(&mut self) {
        tracing::info!("asking the router for the configuration again");
        let asker = self.asker.clone();
        self.tasks.spawn(Purpose::Other, async move { Done::Bootstrapped(asker.ask(|| ()).await) });
    }

    pub(super) fn bootstrapped(&mut self, bootstrap: Bootstrap) {
        let moved = bootstrap.peer != self.bootstrap.peer;
        let epoch = bootstrap.epoch;
        self.bootstrap = bootstrap;
        self.happens(Event::Bootstrapped { epoch, moved });
    }
}
