//! The start of builds in slots, and the sending of their logs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use trackyard_builder::driver;
use trackyard_builder::fetch::{FetchOptions, Repositories};
use trackyard_protocol::worker::{Build, BuildLog, FromWorker};

use super::Agent;
use super::AgentError;
use super::jobs::{JobDone, Running};
use super::tasks::{TaskKind, TaskOutcome};
use crate::args::Allowed;
use crate::args::builder::BuilderArgs;
use crate::build::{BuildContext, BuildTask, BuildWorkspace, LogBuffer};
use crate::canary::Canary;
use crate::sandbox::Slot;
use crate::trust::Trust;

/// The parts that only a builder has.
pub(super) struct Builds {
    repositories: Arc<Repositories>,
    trust: Arc<Trust>,
    /// The workspaces that no build uses. There are as many workspaces as slots.
    workspaces: Vec<BuildWorkspace>,
}

impl Builds {
    /// Creates the directories of all slots and checks that the driver can be used.
    pub(super) async fn open(
        workdir: &Path,
        slots: u32,
        args: &BuilderArgs,
        allowed: &Allowed,
        trust: &Trust,
    ) -> Result<Self, AgentError> {
        let tools = args.tools();
        let fetching = FetchOptions {
            allowed_dirs: dirs(allowed, trust),
            ca_file: allowed.ca_file.clone(),
            ..args.fetching()
        };
        let repositories = Repositories::open(workdir.join("repositories"), fetching)?;
        let mut workspaces = Vec::new();
        for slot in 0..slots {
            let dir = workdir.join("builds").join(slot.to_string());
            let driver = driver::open(args.driver, &tools, &BuildWorkspace::state(&dir));
            workspaces.push(BuildWorkspace::open(dir, driver).map_err(AgentError::BuildDirs)?);
        }
        if let Some(workspace) = workspaces.first() {
            let version = workspace.driver.probe().await?;
            tracing::info!(driver = %args.driver, version, "the driver can be used");
        }
        Ok(Self { repositories: Arc::new(repositories), trust: Arc::new(trust.clone()), workspaces })
    }
}

/// Returns the directories below which `file://` repositories may be.
fn dirs(allowed: &Allowed, trust: &Trust) -> Vec<PathBuf> {
    if trust.router_is_trusted() {
        return vec![PathBuf::from("/")];
    }
    allowed.repositories.iter().filter_map(|url| url.strip_prefix("file://")).map(PathBuf::from).collect()
}

impl Agent {
    pub(super) fn start_build(&mut self, build: Build) {
        let (token, key) = (build.token, build.key);
        let Some((context, workspace)) = self.take_workspace() else {
            return self.return_job(token, key, "not_served");
        };
        let Some(slot) = self.slots.pop() else {
            self.return_workspace(Some(workspace));
            return self.return_job(token, key, "no_free_slot");
        };
        tracing::info!(%token, track = %build.track, reference = build.git_reference, "build");
        let cancel = CancellationToken::new();
        let limits = self.trust.build_limits(&build.limits);
        let log = LogBuffer::new(usize::try_from(limits.log.0).unwrap_or(usize::MAX));
        let running =
            Running { cancel: cancel.clone(), stopped: None, version: None, log: Some((log.clone(), 0)) };
        self.running.insert(token, running);
        self.build_logs.put(&build, log.clone());
        let task = BuildTask { build, received: Instant::now(), context, limits, log, cancel };
        self.tasks.spawn(TaskKind::Job(token, key), run(task, slot, workspace, self.canary.clone()));
    }

    fn take_workspace(&mut self) -> Option<(BuildContext, BuildWorkspace)> {
        let images = self.preparer.as_ref()?.source().as_ref().ok()?.clone();
        let builds = self.builds.as_mut()?;
        let workspace = builds.workspaces.pop()?;
        let context = BuildContext {
            repositories: Arc::clone(&builds.repositories),
            store: self.store.clone(),
            host: self.host.clone(),
            options: self.images.clone(),
            trust: Arc::clone(&builds.trust),
            images,
        };
        Some((context, workspace))
    }

    pub(super) fn return_workspace(&mut self, workspace: Option<BuildWorkspace>) {
        let (Some(builds), Some(workspace)) = (&mut self.builds, workspace) else { return };
        builds.workspaces.push(workspace);
        // Running builds hold their own images in the store.
        let keep = builds.workspaces.iter().filter_map(|workspace| workspace.last.clone()).collect();
        self.collect_images(keep);
    }

    pub(super) fn is_building(&self) -> bool {
        self.running.values().any(|running| running.log.is_some())
    }

    /// Sends what builds have logged since the last page.
    pub(super) fn send_build_logs(&mut self) {
        if !self.connection.is_welcomed() {
            return;
        }
        let mut pages = Vec::new();
        for (token, running) in &mut self.running {
            let Some((log, next)) = &mut running.log else { continue };
            let page = log.since(*next);
            *next = page.next;
            if !page.lines.is_empty() {
                pages.push(BuildLog { token: *token, page });
            }
        }
        pages.into_iter().for_each(|page| self.send(FromWorker::Log(page)));
    }
}

async fn run(
    task: BuildTask,
    mut slot: Slot,
    mut workspace: BuildWorkspace,
    canary: Option<Canary>,
) -> TaskOutcome {
    let finished = task.run(&mut slot, &mut workspace).await;
    let BuildTask { build, .. } = task;
    let workspace = Some(workspace);
    JobDone { token: build.token, key: build.key, slot, workspace, finished, canary_error: None }
        .check(canary)
        .await
}
