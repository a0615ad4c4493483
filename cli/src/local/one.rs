//! `local run`: one job, then everything down.

use clap::Args;
use trackyard_protocol::answer::Answer;
use trackyard_protocol::client::Client;
use trackyard_protocol::name::{ExerciseSlug, JobId};
use trackyard_protocol::quantity::Bytes;
use trackyard_protocol::version::ContainerVersion;

use super::home::{Home, canonical};
use super::layouts;
use super::lifecycle::with_platform;
use super::plan::WorkerPlan;
use super::platform::Options;
use super::{Error, PartsArgs};
use crate::args::{OutputArgs, PlaceArgs};
use crate::console::Console;
use crate::error::Error as CommandError;
use crate::exit_code::Code;
use crate::submit::{InputError, Job, Submission, report};

/// Arguments of `local run`.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// The submission's directory
    dir: String,
    #[command(flatten)]
    place: PlaceArgs,
    /// The exercise's slug, such as two-fer
    #[arg(long)]
    exercise: ExerciseSlug,
    /// The container version [default: the last of the track's layout]
    #[arg(long)]
    version: Option<ContainerVersion>,
    /// How many seconds the container may run [default: the track's limit]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,
    /// What the job may use
    #[arg(long, value_name = "SIZE", default_value = "1Gi")]
    memory: Bytes,
    #[command(flatten)]
    parts: PartsArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs `local run`.
pub(super) async fn run(args: Run, console: Console) -> Result<Code, CommandError> {
    let home = Home::new(None)?;
    let (options, job) = prepare(&args, &home)?;
    let job = &job;
    let result = with_platform(options, console, async |platform| {
        ask_in_background(platform.router(), job.clone()).await
    });
    let result = result.await;
    home.leave(console)?;
    report(args.output.output, job.channel, &result?.0, console)
}

/// One worker, for this job's track alone.
fn prepare(args: &Run, home: &Home) -> Result<(Options, Job), CommandError> {
    let Submission::Dir(dir) = Submission::find(&args.dir)? else {
        let why = "`local run` reads directories of this machine only".to_owned();
        return Err(InputError::NotADirectory { path: args.dir.clone(), why }.into());
    };
    let images = canonical(&args.parts.images)?;
    let mut versions = layouts::versions(&images)?;
    let (channel, track) = (args.place.channel, args.place.track.clone());
    versions.retain(|its_channel, tracks| {
        tracks.retain(|its_track, _| *its_track == track);
        *its_channel == channel && !tracks.is_empty()
    });
    let last = versions.get(&channel).and_then(|tracks| tracks.get(&track)).and_then(|tags| tags.last());
    let nothing = || Error::Examples(format!("{} has no image of {track} for {channel}", images.display()));
    let version = args.version.as_ref().or(last).ok_or_else(nothing)?.clone();
    let uri = format!("file://{}", dir.display());
    let job = Job {
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
    let options = Options {
        dir: home.path(),
        images,
        versions,
        workers: vec![WorkerPlan { channel, track: Some(track), flags: Vec::new() }],
        slots: 1,
        // Submissions lie below an allowed directory, so it is the one above.
        dirs: vec![dir.parent().unwrap_or(&dir).to_owned()],
        memory: args.memory,
        repositories: None,
        usual_ports: false,
    };
    Ok((options, job))
}

/// Sends a job and waits, on another thread: the client blocks.
pub(super) async fn ask_in_background(router: String, job: Job) -> Result<Answer, CommandError> {
    let asked = tokio::task::spawn_blocking(move || {
        Client::connect(&router)?.request(&job.request(), job.patience())
    });
    Ok(asked.await.map_err(std::io::Error::other)??)
}
