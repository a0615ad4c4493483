//! The way of one build through a slot.

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

use super::failed::Failed;
use super::log::Log;
use super::report::{self, Outcome};
use super::smoke::Smoke;
use super::workshop::{Bench, Workshop};
use crate::job::Finished;
use crate::sandbox::{EntryScript, Rootfs, Slot};

/// A build with all that it needs but a slot.
#[derive(Debug)]
pub struct Task {
    /// The router's build.
    pub build: Build,
    /// When it came.
    pub received: Instant,
    /// What builds share.
    pub workshop: Workshop,
    /// The limits that this worker applies.
    pub limits: BuildLimits,
    /// Where its lines go.
    pub log: Log,
    /// Ends the build.
    pub cancel: CancellationToken,
}

/// The name of a built image in its bench's directory.
const IMAGE: &str = "image";
/// How long a fixture may run.
const SMOKE_WALL: u64 = 60;

/// What is being released, and where.
struct Release<'a> {
    images: Images,
    repository: &'a str,
    /// `git-<sha>`.
    version: String,
}

impl Task {
    /// Builds in `slot` and `bench`. A build that was cancelled has no result.
    pub async fn run(&self, slot: &mut Slot, bench: &mut Bench) -> Finished {
        let stop = self.cancel.child_token();
        let work = self.build(slot, bench, &stop);
        let (ended, is_late) = bounded(work, &stop, self.received + self.limits.wall.0).await;
        if let Err(error) = tokio::task::block_in_place(|| bench.clear().and_then(|()| bench.trim())) {
            tracing::error!(%error, "a build's files are left behind");
        }
        if self.cancel.is_cancelled() {
            return Finished { result: None, is_suspicious: false };
        }
        let ended = if is_late && ended.is_err() { Err(self.too_late()) } else { ended };
        let is_suspicious = ended.as_ref().is_err_and(|failed| {
            matches!(failed.reason, Reason::Mount | Reason::Cgroup | Reason::Launch | Reason::HostResources)
        });
        let wall = self.received.elapsed();
        let result = report::result(&self.build, &self.limits, ended, &self.log.text(), wall);
        Finished { result: Some(result), is_suspicious }
    }

    fn too_late(&self) -> Failed {
        let limit = self.limits.wall;
        Failed::new(Reason::WallTime, format!("the build was stopped after {limit}, its limit"))
    }

    async fn build(
        &self,
        slot: &mut Slot,
        bench: &mut Bench,
        stop: &CancellationToken,
    ) -> Result<Outcome, Failed> {
        let source = &self.workshop.images;
        let repository = source.repository(self.build.channel, &self.build.track).ok_or_else(|| {
            Failed::new(Reason::Release, "the router names no repository for images of this channel")
        })?;
        let (url, resolved) = self.resolve(stop).await?;
        let images = unless_stopped(stop, Images::connect(source, &self.workshop.options)).await?;
        let release =
            Release { images, repository: &repository, version: format!("git-{}", resolved.commit) };
        let built = release.images.resolve_tag(&repository, &release.version);
        if let Some(digest) = unless_stopped(stop, built).await? {
            self.log.line(&format!("release: {} is released already", release.version));
            return Ok(self.outcome(BuildStatus::Ignored, &release, digest));
        }
        let checkout = self.fetch(&url, &resolved, bench, stop).await?;
        self.drive(&checkout, slot, bench, stop).await?;
        self.smoke(slot, bench, stop).await?;
        self.release(&release, &resolved, bench, stop).await
    }

    async fn resolve(&self, stop: &CancellationToken) -> Result<(RepositoryUrl, ResolvedCommit), Failed> {
        let url = self.workshop.trust.repository(&self.build.source)?;
        let reference: GitReference = self.build.git_reference.parse()?;
        self.log.line(&format!("fetch: looking for {reference} in {url}"));
        let resolved = self.workshop.repositories.resolve(&url, &reference, stop).await?;
        self.log.line(&format!("fetch: {reference} is commit {}", resolved.commit));
        Ok((url, resolved))
    }

    async fn fetch(
        &self,
        url: &RepositoryUrl,
        resolved: &ResolvedCommit,
        bench: &Bench,
        stop: &CancellationToken,
    ) -> Result<Checkout, Failed> {
        let checkout = self.workshop.repositories.checkout(url, resolved, &bench.tree(), stop).await?;
        self.log.line(&format!("fetch: commit {} of {}", checkout.commit, url));
        Ok(checkout)
    }

    async fn drive(
        &self,
        checkout: &Checkout,
        slot: &mut Slot,
        bench: &Bench,
        stop: &CancellationToken,
    ) -> Result<(), Failed> {
        let spec = BuildSpec {
            context: bench.tree(),
            output: bench.image(),
            source_date_epoch: checkout.commit_time,
            labels: self.labels(checkout)?,
            idle_timeout: self.limits.idle.0,
            dir: bench.dir().to_owned(),
            max_disk_bytes: self.limits.disk.0,
        };
        self.log.line(&format!("build: with {}", bench.driver.kind()));
        let cgroup = unless_stopped(stop, slot.build_cgroup(&self.limits)).await?;
        // Where things are on this machine is nobody else's business.
        let here = bench.dir().display().to_string();
        let log = |line: &str| self.log.line(&line.replace(&here, "."));
        let run = BuildRun { spec: &spec, cgroup: &cgroup, on_line: &log, stop };
        bench.driver.build(&run).await.map_err(|error| {
            let Failed { reason, message } = Failed::from(error);
            Failed::new(reason, message.replace(&here, "."))
        })
    }

    /// As the OCI's image specification names them.
    fn labels(&self, checkout: &Checkout) -> Result<BTreeMap<String, String>, Failed> {
        let seconds = i64::try_from(checkout.commit_time).unwrap_or(i64::MAX);
        let created = jiff::Timestamp::from_second(seconds);
        let created =
            created.map_err(|error| Failed::new(Reason::Fetch, format!("the commit's time: {error}")))?;
        let label = |name: &str, value: String| (format!("org.opencontainers.image.{name}"), value);
        Ok(BTreeMap::from([
            label("revision", checkout.commit.to_string()),
            label("source", self.build.source.clone()),
            label("created", created.to_string()),
        ]))
    }

    fn outcome(&self, status: BuildStatus, release: &Release<'_>, digest: Digest) -> Outcome {
        let place = &self.workshop.images.location;
        let image = format!("{place}/{}:{}", release.repository, release.version);
        Outcome { status, image, version: release.version.clone(), digest }
    }

    /// Unpacks the image as a job's worker would, and runs it.
    async fn smoke(
        &self,
        slot: &mut Slot,
        bench: &mut Bench,
        stop: &CancellationToken,
    ) -> Result<(), Failed> {
        let (images, digest) = self.built_image(bench).await?;
        let image = unless_stopped(stop, self.workshop.store.prepare(&images, IMAGE, &digest)).await?;
        bench.last = Some(digest);
        let (host, layers, channel) = (self.workshop.host.clone(), image.layers.clone(), self.build.channel);
        let entry = tokio::task::spawn_blocking(move || host.find_entry(&layers, channel)).await;
        let entry = entry.map_err(|error| Failed::new(Reason::WorkerInternal, error.to_string()))??;
        let entry = entry.ok_or_else(|| Failed::new(Reason::SmokeCheck, EntryScript::missing(channel)))?;
        let smoke = Smoke {
            rootfs: Rootfs { layers: image.layers.clone(), env: image.env.clone() },
            entry,
            limits: smoke_limits(),
            tree: &bench.tree(),
            log: &self.log,
            cancel: stop.clone(),
        };
        smoke.check(slot).await?;
        Ok(())
    }

    async fn built_image(&self, bench: &Bench) -> Result<(Images, Digest), Failed> {
        let source = ImageSource {
            kind: ImageSourceKind::Layout,
            location: bench.dir().to_string_lossy().into_owned(),
            repositories: self.workshop.images.repositories.clone(),
        };
        let images = Images::connect(&source, &self.workshop.options).await?;
        let digest = built_digest(&bench.image(), &self.workshop.options).await?;
        Ok((images, digest))
    }

    async fn release(
        &self,
        release: &Release<'_>,
        resolved: &ResolvedCommit,
        bench: &Bench,
        stop: &CancellationToken,
    ) -> Result<Outcome, Failed> {
        let tags = ReleaseTags::new(resolved.commit.as_str(), std::time::SystemTime::now())?;
        let tags = tags.git_reference(&self.build.git_reference).latest(resolved.is_default_branch);
        let log = self.log.clone();
        let control =
            ReleaseControl::new(stop.clone(), move |progress| log.line(&format!("release: {progress}")));
        match release.images.release(release.repository, &bench.image(), &tags, &control).await? {
            ReleaseOutcome::Done { digest, .. } => Ok(self.outcome(BuildStatus::Built, release, digest)),
            ReleaseOutcome::Ignored { digest } => Ok(self.outcome(BuildStatus::Ignored, release, digest)),
        }
    }
}

/// As for a job of the default limits, but for the time: a builder is a busy machine.
fn smoke_limits() -> Limits {
    Limits { wall: HumanDuration::from_secs(SMOKE_WALL), ..Limits::default() }
}

/// Does what does not look at `stop` by itself, and may be dropped.
async fn unless_stopped<T, E>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Failed>
where
    Failed: From<E>,
{
    let stopped = || Failed::new(Reason::WallTime, "the build was stopped");
    stop.run_until_cancelled(work).await.ok_or_else(stopped)?.map_err(Failed::from)
}

/// Waits for `work`; after `deadline` it is stopped, which it takes as its end. True if it was.
async fn bounded<T>(work: impl Future<Output = T>, stop: &CancellationToken, deadline: Instant) -> (T, bool) {
    tokio::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => return (done, false),
        () = tokio::time::sleep_until(deadline.into()) => stop.cancel(),
    }
    (work.await, true)
}
