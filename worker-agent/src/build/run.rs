//! The path of a build through a slot.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use trackyard_builder::driver::{BuildRun, BuildSpec};
use trackyard_builder::fetch::{Checkout, GitReference, RepositoryUrl, ResolvedCommit};
use trackyard_images::{Images, ReleaseControl, ReleaseOutcome, ReleaseTags, built_digest};
use trackyard_protocol::build::{BuildLimits, BuildStatus};
use trackyard_protocol::limits::Limits;
use trackyard_protocol::quantity::HumanDuration;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::source::{ImageSource, ImageSourceKind};
use trackyard_protocol::version::Digest;
use trackyard_protocol::worker::Build;

use super::failure::BuildFailure;
use super::log::LogBuffer;
use super::report::{self, BuildOutcome};
use super::smoke::SmokeCheck;
use super::workspace::{BuildContext, BuildWorkspace};
use crate::job::FinishedJob;
use crate::sandbox::{EntryScript, Rootfs, Slot};

/// A build with all that it needs but a slot.
#[derive(Debug)]
pub struct BuildTask {
    /// The router's message.
    pub build: Build,
    /// When the message was received.
    pub received: Instant,
    /// The parts that all builds share.
    pub context: BuildContext,
    /// The limits that this worker applies.
    pub limits: BuildLimits,
    /// The build's log.
    pub log: LogBuffer,
    /// Stops the build.
    pub cancel: CancellationToken,
}

/// The repository of the built image in the workspace's layout directory.
const IMAGE_NAME: &str = "image";
/// Wall-clock limit of a fixture.
const SMOKE_CHECK_SECONDS: u64 = 60;

/// A release under preparation.
struct PendingRelease<'a> {
    images: Images,
    repository: &'a str,
    /// `git-<sha>`.
    version: String,
}

impl BuildTask {
    /// Builds in `slot` and `workspace`. A cancelled build has no result.
    pub async fn run(&self, slot: &mut Slot, workspace: &mut BuildWorkspace) -> FinishedJob {
        let stop = self.cancel.child_token();
        let work = self.build(slot, workspace, &stop);
        let (ended, timed_out) = run_until(work, &stop, self.received + self.limits.wall.0).await;
        if let Err(error) = tokio::task::block_in_place(|| workspace.clear().and_then(|()| workspace.trim()))
        {
            tracing::error!(%error, "a build's files are left behind");
        }
        if self.cancel.is_cancelled() {
            return FinishedJob { result: None, is_suspicious: false };
        }
        let ended = if timed_out && ended.is_err() { Err(self.wall_time_failure()) } else { ended };
        let is_suspicious = ended.as_ref().is_err_and(|failed| {
            matches!(failed.reason, Reason::Mount | Reason::Cgroup | Reason::Launch | Reason::HostResources)
        });
        let wall = self.received.elapsed();
        let result = report::result(&self.build, &self.limits, ended, &self.log.text(), wall);
        FinishedJob { result: Some(result), is_suspicious }
    }

    fn wall_time_failure(&self) -> BuildFailure {
        let limit = self.limits.wall;
        BuildFailure::new(Reason::WallTime, format!("the build was stopped after {limit}, its limit"))
    }

    async fn build(
        &self,
        slot: &mut Slot,
        workspace: &mut BuildWorkspace,
        stop: &CancellationToken,
    ) -> Result<BuildOutcome, BuildFailure> {
        let source = &self.context.images;
        let repository = source.repository(self.build.channel, &self.build.track).ok_or_else(|| {
            BuildFailure::new(Reason::Release, "the router names no repository for images of this channel")
        })?;
        let (url, resolved) = self.resolve(stop).await?;
        let images = unless_stopped(stop, Images::connect(source, &self.context.options)).await?;
        let release =
            PendingRelease { images, repository: &repository, version: format!("git-{}", resolved.commit) };
        let built = release.images.resolve_tag(&repository, &release.version);
        if let Some(digest) = unless_stopped(stop, built).await? {
            self.log.line(&format!("release: {} is released already", release.version));
            return Ok(self.outcome(BuildStatus::Ignored, &release, digest));
        }
        let checkout = self.fetch(&url, &resolved, workspace, stop).await?;
        self.drive(&checkout, slot, workspace, stop).await?;
        self.smoke(slot, workspace, stop).await?;
        self.release(&release, &resolved, workspace, stop).await
    }

    async fn resolve(
        &self,
        stop: &CancellationToken,
    ) -> Result<(RepositoryUrl, ResolvedCommit), BuildFailure> {
        let url = self.context.trust.repository(&self.build.source)?;
        let reference: GitReference = self.build.git_reference.parse()?;
        self.log.line(&format!("fetch: looking for {reference} in {url}"));
        let resolved = self.context.repositories.resolve(&url, &reference, stop).await?;
        self.log.line(&format!("fetch: {reference} is commit {}", resolved.commit));
        Ok((url, resolved))
    }

    async fn fetch(
        &self,
        url: &RepositoryUrl,
        resolved: &ResolvedCommit,
        workspace: &BuildWorkspace,
        stop: &CancellationToken,
    ) -> Result<Checkout, BuildFailure> {
        let checkout = self.context.repositories.checkout(url, resolved, &workspace.tree(), stop).await?;
        self.log.line(&format!("fetch: commit {} of {}", checkout.commit, url));
        Ok(checkout)
    }

    async fn drive(
        &self,
        checkout: &Checkout,
        slot: &mut Slot,
        workspace: &BuildWorkspace,
        stop: &CancellationToken,
    ) -> Result<(), BuildFailure> {
        let spec = BuildSpec {
            context: workspace.tree(),
            output: workspace.image(),
            source_date_epoch: checkout.commit_time,
            labels: self.labels(checkout)?,
            idle_timeout: self.limits.idle.0,
            dir: workspace.dir().to_owned(),
            max_disk_bytes: self.limits.disk.0,
        };
        self.log.line(&format!("build: with {}", workspace.driver.kind()));
        let cgroup = unless_stopped(stop, slot.build_cgroup(&self.limits)).await?;
        // Paths of this machine are not for clients.
        let here = workspace.dir().display().to_string();
        let log = |line: &str| self.log.line(&line.replace(&here, "."));
        let run = BuildRun { spec: &spec, cgroup: &cgroup, on_line: &log, stop };
        workspace.driver.build(&run).await.map_err(|error| {
            let BuildFailure { reason, message } = BuildFailure::from(error);
            BuildFailure::new(reason, message.replace(&here, "."))
        })
    }

    /// Returns the labels that the OCI image specification defines.
    fn labels(&self, checkout: &Checkout) -> Result<BTreeMap<String, String>, BuildFailure> {
        let seconds = i64::try_from(checkout.commit_time).unwrap_or(i64::MAX);
        let created = jiff::Timestamp::from_second(seconds);
        let created = created
            .map_err(|error| BuildFailure::new(Reason::Fetch, format!("the commit's time: {error}")))?;
        let label = |name: &str, value: String| (format!("org.opencontainers.image.{name}"), value);
        Ok(BTreeMap::from([
            label("revision", checkout.commit.to_string()),
            label("source", self.build.source.clone()),
            label("created", created.to_string()),
        ]))
    }

    fn outcome(&self, status: BuildStatus, release: &PendingRelease<'_>, digest: Digest) -> BuildOutcome {
        let location = &self.context.images.location;
        let image = format!("{location}/{}:{}", release.repository, release.version);
        BuildOutcome { status, image, version: release.version.clone(), digest }
    }

    /// Unpacks the image as a job's worker would, and runs it.
    async fn smoke(
        &self,
        slot: &mut Slot,
        workspace: &mut BuildWorkspace,
        stop: &CancellationToken,
    ) -> Result<(), BuildFailure> {
        let (images, digest) = self.built_image(workspace).await?;
        let image = unless_stopped(stop, self.context.store.prepare(&images, IMAGE_NAME, &digest)).await?;
        workspace.last = Some(digest);
        let host = self.context.host.clone();
        let layers = image.layers.clone();
        let channel = self.build.channel;
        let entry = tokio::task::spawn_blocking(move || host.find_entry(&layers, channel)).await;
        let entry = entry.map_err(|error| BuildFailure::new(Reason::WorkerInternal, error.to_string()))??;
        let entry =
            entry.ok_or_else(|| BuildFailure::new(Reason::SmokeCheck, EntryScript::missing(channel)))?;
        let smoke = SmokeCheck {
            rootfs: Rootfs { layers: image.layers.clone(), env: image.env.clone() },
            entry,
            limits: smoke_limits(),
            tree: &workspace.tree(),
            log: &self.log,
            cancel: stop.clone(),
        };
        smoke.check(slot).await?;
        Ok(())
    }

    async fn built_image(&self, workspace: &BuildWorkspace) -> Result<(Images, Digest), BuildFailure> {
        let source = ImageSource {
            kind: ImageSourceKind::Layout,
            location: workspace.dir().to_string_lossy().into_owned(),
            repositories: self.context.images.repositories.clone(),
        };
        let images = Images::connect(&source, &self.context.options).await?;
        let digest = built_digest(&workspace.image(), &self.context.options).await?;
        Ok((images, digest))
    }

    async fn release(
        &self,
        release: &PendingRelease<'_>,
        resolved: &ResolvedCommit,
        workspace: &BuildWorkspace,
        stop: &CancellationToken,
    ) -> Result<BuildOutcome, BuildFailure> {
        let tags = ReleaseTags::new(resolved.commit.as_str(), std::time::SystemTime::now())?;
        let tags = tags.git_reference(&self.build.git_reference).latest(resolved.is_default_branch);
        let log = self.log.clone();
        let control =
            ReleaseControl::new(stop.clone(), move |progress| log.line(&format!("release: {progress}")));
        match release.images.release(release.repository, &workspace.image(), &tags, &control).await? {
            ReleaseOutcome::Done { digest, .. } => Ok(self.outcome(BuildStatus::Built, release, digest)),
            ReleaseOutcome::Ignored { digest } => Ok(self.outcome(BuildStatus::Ignored, release, digest)),
        }
    }
}

/// Returns a job's default limits, but with more wall-clock time, because a builder is a busy machine.
fn smoke_limits() -> Limits {
    Limits { wall: HumanDuration::from_secs(SMOKE_CHECK_SECONDS), ..Limits::default() }
}

/// Runs `work`, and drops it when `stop` is cancelled.
async fn unless_stopped<T, E>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, BuildFailure>
where
    BuildFailure: From<E>,
{
    match stop.run_until_cancelled(work).await {
        Some(done) => done.map_err(BuildFailure::from),
        None => Err(BuildFailure::new(Reason::WallTime, "the build was stopped")),
    }
}

/// Waits for `work`. Cancels `stop` at `deadline`, upon which `work` must end. Returns whether the deadline has passed.
async fn run_until<T>(
    work: impl Future<Output = T>,
    stop: &CancellationToken,
    deadline: Instant,
) -> (T, bool) {
    tokio::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => return (done, false),
        () = tokio::time::sleep_until(deadline.into()) => stop.cancel(),
    }
    (work.await, true)
}
