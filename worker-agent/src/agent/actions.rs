//! The execution of the pure parts' actions.

use std::sync::Arc;
use std::time::Instant;

use trackyard_protocol::version::Digest;
use trackyard_protocol::worker::{FromWorker, TrackVersion, Welcome};

use super::Agent;
use super::tasks::{TaskKind, TaskOutcome};
use crate::bootstrap::Bootstrap;
use crate::connection::{Action, Event};
use crate::input::Inputs;
use crate::trust::ImageSourceRefused;
use crate::versions::desired::{PrepareFailure, VersionAction};
use crate::versions::prepare::{Preparer, ReadyVersion};

impl Agent {
    /// Gives an event to the connection and executes its actions.
    pub(super) fn dispatch_event(&mut self, event: Event) {
        for action in self.connection.on(event, Instant::now()) {
            self.execute(action);
        }
    }

    fn execute(&mut self, action: Action) {
        match action {
            Action::Open => self.open(),
            Action::Close => self.close(),
            Action::Send(message) => self.send(message),
            Action::Configure(welcome) => self.on_welcome(&welcome),
            Action::Prepare(desired) => {
                let actions = self.versions.set_desired(&desired.versions, Instant::now());
                self.apply_version_actions(actions);
            }
            Action::StartJob(job) => self.start_job(*job),
            Action::StartBuild(build) => self.start_build(*build),
            Action::StopJob { token, why } => self.stop_job(token, why),
            Action::Bootstrap => self.bootstrap_again(),
            Action::Exit => self.has_left = true,
        }
    }

    fn open(&mut self) {
        let peer = self.bootstrap.endpoint.clone();
        tracing::info!(address = peer.address, "connecting to the router");
        self.generation = self.socket.open(peer);
    }

    fn close(&mut self) {
        tracing::warn!("the connection to the router is lost; opening another");
        self.metrics.connection_reopened();
        self.outgoing.clear();
        self.socket.close();
        // Messages of the old socket are ignored from now on.
        self.generation = 0;
    }

    pub(super) fn send(&mut self, message: FromWorker) {
        let socket = &self.socket;
        self.outgoing.push(message, self.connection.reads_batches(), |message| socket.send(message));
    }

    /// Sends the messages of this iteration.
    pub(super) fn flush(&mut self) {
        let socket = &self.socket;
        self.outgoing.flush(self.connection.reads_batches(), |message| socket.send(message));
    }

    fn on_welcome(&mut self, welcome: &Welcome) {
        tracing::info!(epoch = %welcome.epoch, "welcomed by the router");
        self.gates.router.open();
        let policy = self.trust.input_policy(&welcome.inputs);
        if self.inputs.as_ref().is_none_or(|inputs| *inputs.policy() != policy) {
            let inputs = Inputs::new(policy);
            self.inputs = Some(inputs.clone());
            self.tasks.spawn(TaskKind::Other, async move {
                inputs.warm_up().await;
                TaskOutcome::Nothing
            });
        }
        self.use_image_source(self.trust.image_source(&welcome.images).cloned());
    }

    fn use_image_source(
        &mut self,
        source: Result<trackyard_protocol::source::ImageSource, ImageSourceRefused>,
    ) {
        if self.preparer.as_ref().is_some_and(|preparer| *preparer.source() == source) {
            return;
        }
        if let Err(refused) = &source {
            tracing::error!(%refused, "no image can be prepared");
        }
        let channel = self.bootstrap_client.url.channel;
        let preparer =
            Preparer::new(self.store.clone(), self.host.clone(), channel, self.images.clone(), source);
        self.preparer = Some(preparer);
        // What failed with the old source may succeed with the new one.
        let actions = self.versions.retry_all(Instant::now());
        self.apply_version_actions(actions);
    }

    pub(super) fn apply_version_actions(&mut self, actions: Vec<VersionAction>) {
        for action in actions {
            match action {
                VersionAction::Prepare(version) => self.start_preparing(version),
                VersionAction::Ready(version) => {
                    tracing::info!(track = %version.track, version = %version.version, "ready");
                    self.dispatch_event(Event::VersionReady(version));
                }
                VersionAction::Failed(failed) => self.dispatch_event(Event::VersionFailed(failed)),
                VersionAction::Gone(version) => {
                    self.forget_version(&version);
                    self.dispatch_event(Event::VersionGone(version));
                }
                VersionAction::Collect(keep) => self.collect_images(keep),
            }
        }
        self.update_readiness();
    }

    fn update_readiness(&mut self) {
        if self.versions_settled {
            return;
        }
        if self.versions.is_settled() {
            self.versions_settled = true;
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
        self.tasks.spawn(TaskKind::Prepare(version.clone()), async move {
            let result = match preparer {
                Some(preparer) => preparer.prepare(&version).await,
                None => Err(PrepareFailure::internal()),
            };
            TaskOutcome::Prepared { version, result }
        });
    }

    pub(super) fn on_prepared(
        &mut self,
        version: &TrackVersion,
        result: Result<ReadyVersion, PrepareFailure>,
    ) {
        if let Err(PrepareFailure { reason, message, .. }) = &result {
            tracing::warn!(track = %version.track, version = %version.version, %reason, message, "not ready");
        }
        let result = result.map(|ready| {
            self.ready.insert(version.clone(), Arc::new(ready));
        });
        let actions = self.versions.on_prepared(version, result, Instant::now());
        if !actions.contains(&VersionAction::Ready(version.clone())) {
            self.forget_version(version);
        }
        self.apply_version_actions(actions);
    }

    /// Lets the next collection remove the version's image.
    fn forget_version(&mut self, version: &TrackVersion) {
        self.unwanted.extend(self.ready.remove(version));
    }

    pub(super) fn collect_images(&mut self, keep: Vec<Digest>) {
        let store = self.store.clone();
        let unwanted = std::mem::take(&mut self.unwanted);
        self.tasks.spawn(TaskKind::Other, async move {
            // Not in the agent's loop, because dropping an image waits for a collection that is running.
            let _ = tokio::task::spawn_blocking(move || drop(unwanted)).await;
            match store.collect_garbage(&keep).await {
                Ok(removed) if removed.is_empty() => {}
                Ok(removed) => tracing::info!(images = removed.len(), "images removed"),
                Err(error) => tracing::warn!(%error, "cannot remove unused images"),
            }
            TaskOutcome::Nothing
        });
    }

    fn bootstrap_again(&mut self) {
        tracing::info!("asking the router for the configuration again");
        let bootstrap_client = self.bootstrap_client.clone();
        self.tasks.spawn(TaskKind::Other, async move {
            TaskOutcome::Bootstrapped(bootstrap_client.bootstrap(|| ()).await)
        });
    }

    pub(super) fn on_bootstrapped(&mut self, bootstrap: Bootstrap) {
        let moved = bootstrap.endpoint != self.bootstrap.endpoint;
        let epoch = bootstrap.epoch;
        self.bootstrap = bootstrap;
        self.dispatch_event(Event::Bootstrapped { epoch, moved });
    }
}
