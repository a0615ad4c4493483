//! `local run`: starts a platform, runs one job and stops everything.

use clap::Args;
use trackyard_protocol::answer::Answer;
use trackyard_protocol::client::Client;
use trackyard_protocol::name::{ExerciseSlug, JobId};
use trackyard_protocol::quantity::Bytes;
use trackyard_protocol::version::ContainerVersion;

use super::layouts;
use super::lifecycle::with_platform;
use super::plan::WorkerPlan;
use super::platform::PlatformOptions;
use super::state_dir::{StateDir, canonical};
use super::{LocalError, PlatformArgs};
use crate::args::{OutputArgs, TrackArgs};
use crate::console::Console;
use crate::error::CommandError;
use crate::exit_code::Code;
use crate::submit::{InputError, JobRequest, Submission, report};

/// Arguments of `local run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The submission's directory
    dir: String,
    #[command(flatten)]
    track: TrackArgs,
    /// The exercise's slug, such as two-fer
    #[arg(long)]
    exercise: ExerciseSlug,
    /// The container version [default: the last one in the track's image layout]
    #[arg(long)]
    version: Option<ContainerVersion>,
    /// How many seconds the container may run [default: the track's limit]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,
    /// The memory limit of the job
    #[arg(long, value_name = "SIZE", default_value = "1Gi")]
    memory: Bytes,
    #[command(flatten)]
    platform: PlatformArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs `local run`.
pub(super) async fn run(args: RunArgs, console: Console) -> Result<Code, CommandError> {
    let state_dir = StateDir::new(None)?;
    let (options, job) = prepare(&args, &state_dir)?;
    let job = &job;
    let result = with_platform(options, console, async |platform| {
        run_in_background(platform.router(), job.clone()).await
    });
    let result = result.await;
    state_dir.close(console)?;
    report(args.output.output, job.channel, &result?.0, console)
}

/// Plans a platform with one worker, for this job's channel and track.
fn prepare(args: &RunArgs, state_dir: &StateDir) -> Result<(PlatformOptions, JobRequest), CommandError> {
    let Submission::Dir(dir) = Submission::find(&args.dir)? else {
        let why = "`local run` reads directories of this machine only".to_owned();
        return Err(InputError::NotADirectory { path: args.dir.clone(), why }.into());
    };
    let images = canonical(&args.platform.images)?;
    let TrackArgs { channel, track } = args.track.clone();
    let mut tracks = layouts::find_versions(&images)?.remove(&channel).unwrap_or_default();
    let tags = tracks.remove(&track).unwrap_or_default();
    let Some(last) = tags.last() else {
        return Err(
            LocalError::NoImage { images, channel, track, known: tracks.into_keys().collect() }.into()
        );
    };
    let version = args.version.as_ref().unwrap_or(last).clone();
    let uri = format!("file://{}", dir.display());
    let job = JobRequest {
        id: JobId::new(format!("run-{:016x}", rand::random::<u64>()))?,
        channel,
        track: track.clone(),
        exercise: args.exercise.clone(),
        input: uri.parse().map_err(InputError::Path)?,
        version,
        timeout: args.timeout,
        deadline: None,
        fresh: false,
    };
    let options = PlatformOptions {
        dir: state_dir.path(),
        images,
        versions: [(channel, [(track.clone(), tags)].into())].into(),
        workers: vec![WorkerPlan { channel, track: Some(track), flags: Vec::new() }],
        slots: 1,
        // The router allows what is below these directories, so the submission's parent is needed.
        dirs: vec![dir.parent().unwrap_or(&dir).to_owned()],
        memory: args.memory,
        repositories: None,
        use_default_ports: false,
    };
    Ok((options, job))
}

/// Sends a job and waits for its answer, on another thread, because the client blocks.
pub(super) async fn run_in_background(router: String, job: JobRequest) -> Result<Answer, CommandError> {
    let answer = tokio::task::spawn_blocking(move || {
        Client::connect(&router)?.request(&job.body(), job.answer_timeout())
    });
    Ok(answer.await.map_err(std::io::Error::other)??)
}
