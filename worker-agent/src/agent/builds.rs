//! Builds into slots, and what they print to the router.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use trackyard_builder::driver;
use trackyard_builder::fetch::{FetchOptions, Repositories};
use trackyard_protocol::worker::{Build, BuildLog, FromWorker};

use super::Agent;
use super::begin::Error;
use super::jobs::{JobDone, Running};
use super::tasks::{Done, Purpose};
use crate::args::Allowed;
use crate::args::builder::BuilderArgs;
use crate::build::{Bench, Log, Task, Workshop};
use crate::canary::Canary;
use crate::sandbox::Slot;
use crate::trust::Trust;

/// What a builder has and other workers have not.
pub(super) struct Builds {
    repositories: Arc<Repositories>,
    trust: Arc<Trust>,
    /// As many as slots, but for those in use.
    benches: Vec<Bench>,
}

impl Builds {
    /// Makes the directories of all slots, and finds out if the driver can be used.
    pub(super) async fn open(
        workdir: &Path,
        slots: u32,
        args: &BuilderArgs,
        allowed: &Allowed,
        trust: &Trust,
    ) -> Result<Self, Error> {
        let tools = args.tools();
        let fetching = FetchOptions {
            allowed_dirs: dirs(allowed, trust),
            ca_file: allowed.ca_file.clone(),
            ..args.fetching()
        };
        let repositories = Repositories::open(workdir.join("repositories"), fetching)?;
        let mut benches = Vec::new();
        for slot in 0..slots {
            let dir = workdir.join("builds").join(slot.to_string());
            let driver = driver::open(args.driver, &tools, &Bench::state(&dir));
            benches.push(Bench::open(dir, driver).map_err(Error::Bench)?);
        }
        if let Some(bench) = benches.first() {
            let version = bench.driver.probe().await?;
            tracing::info!(driver = %args.driver, version, "the driver can be used");
        }
        Ok(Self { repositories: Arc::new(repositories), trust: Arc::new(trust.clone()), benches })
    }
}

/// The directories below which repositories may be.
fn dirs(allowed: &Allowed, trust: &Trust) -> Vec<PathBuf> {
    if trust.router_is_trusted() {
        return vec![PathBuf::from("/")];
    }
    allowed.repositories.iter().filter_map(|url| url.strip_prefix("file://")).map(PathBuf::from).collect()
}

impl Agent {
    pub(super) fn start_build(&mut self, build: Build) {
        let (token, key) = (build.token, build.key);
        let Some((workshop, bench)) = self.take_bench() else {
            return self.give_back(token, key, "not_served");
        };
        let Some(slot) = self.slots.pop() else {
            self.put_back(Some(bench));
            return self.give_back(token, key, "no_free_slot");
        };
        tracing::info!(%token, track = %build.track, reference = build.git_reference, "build");
        let cancel = CancellationToken::new();
        let limits = self.trust.builds(&build.limits);
        let log = Log::new(usize::try_from(limits.log.0).unwrap_or(usize::MAX));
        let running =
            Running { cancel: cancel.clone(), stopped: None, version: None, log: Some((log.clone(), 0)) };
        self.running.insert(token, running);
        self.shelf.put(&build, log.clone());
        let task = Task { build, received: Instant::now(), workshop, limits, log, cancel };
        self.tasks.spawn(Purpose::Job(token, key), run(task, slot, bench, self.canary.clone()));
    }

    fn take_bench(&mut self) -> Option<(Workshop, Bench)> {
        let images = self.preparer.as_ref()?.source().as_ref().ok()?.clone();
        let builds = self.builds.as_mut()?;
        let bench = builds.benches.pop()?;
        let workshop = Workshop {
            repositories: Arc::clone(&builds.repositories),
            store: self.store.clone(),
            host: self.host.clone(),
            options: self.images.clone(),
            trust: Arc::clone(&builds.trust),
            images,
        };
        Some((workshop, bench))
    }

    pub(super) fn put_back(&mut self, bench: Option<Bench>) {
        let (Some(builds), Some(bench)) = (&mut self.builds, bench) else { return };
        builds.benches.push(bench);
        // What running builds need of the store is held by them.
        let keep = builds.benches.iter().filter_map(|bench| bench.last.clone()).collect();
        self.collect(keep);
    }

    pub(super) fn is_building(&self) -> bool {
        self.running.values().any(|running| running.log.is_some())
    }

    /// Tells the router what builds have printed since the last time.
    pub(super) fn tell_logs(&mut self) {
        if !self.connection.is_welcome() {
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

async fn run(task: Task, mut slot: Slot, mut bench: Bench, canary: Option<Canary>) -> Done {
    let finished = task.run(&mut slot, &mut bench).await;
    let canary = match canary.filter(|_| finished.is_suspicious) {
        Some(canary) => canary.run(&mut slot).await.err(),
        None => None,
    };
    let (token, key) = (task.build.token, task.build.key);
    Done::Job(Box::new(JobDone { token, key, slot, bench: Some(bench), finished, canary }))
}
