//! `submit`: runs one submission in its track's container.

mod input;
mod job;
mod upload;

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use trackyard_protocol::answer::Answer;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::client::{self, Client};
use trackyard_protocol::name::{ExerciseSlug, JobId};
use trackyard_protocol::quantity::HumanDuration;
use trackyard_protocol::uri::InputUri;
use trackyard_protocol::version::ContainerVersion;

use crate::args::{Output, RouterArgs, TrackArgs};
use crate::console::Console;
use crate::error::CommandError;
use crate::exit_code::Code;
use crate::router::{REQUEST_TIMEOUT, Refused, as_json, deployed_versions, hint};
use crate::verdict;

pub use input::{InputError, Submission};
pub use job::JobRequest;
pub use upload::{Bucket, UploadError};

/// Interval between two progress lines while the job runs.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// Arguments of `submit`.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// A directory on this machine, or a URI that workers can read: s3://bucket/prefix or file:///directory (on the
    /// worker's machine)
    submission: String,
    #[command(flatten)]
    track: TrackArgs,
    /// The exercise's slug, such as two-fer
    #[arg(long)]
    exercise: ExerciseSlug,
    /// The container version [default: the track's last deployed version]
    #[arg(long)]
    version: Option<ContainerVersion>,
    /// How many seconds the container may run [default: the track's limit]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,
    /// How long to wait for the answer, time in the queue included, such as 30s
    #[arg(long, value_name = "DURATION")]
    deadline: Option<HumanDuration>,
    /// Run the job again, even if the router has an answer for this id
    #[arg(long)]
    fresh: bool,
    /// The job's id; the same id with the same files gets the same answer [default: random]
    #[arg(long)]
    id: Option<JobId>,
    /// Upload the directory to this bucket, for a router on another machine
    #[arg(long)]
    bucket: Option<String>,
    /// The bucket's S3 endpoint [default: Amazon's]
    #[arg(long, value_name = "URL", requires = "bucket")]
    s3_endpoint: Option<String>,
    #[command(flatten)]
    router: RouterArgs,
}

/// Runs `submit`.
///
/// # Errors
/// If workers cannot be given the files, or there is no answer in time.
pub fn run(args: &SubmitArgs, console: Console) -> Result<Code, CommandError> {
    let submission = Submission::find(&args.submission)?;
    let client = args.router.connect()?;
    let version = version(args, &client)?;
    let id = match &args.id {
        Some(id) => id.clone(),
        None => JobId::new(format!("cli-{:016x}", rand::random::<u64>()))?,
    };
    let input = input_uri(args, &submission, &id, console)?;
    let job = JobRequest {
        id,
        channel: args.track.channel,
        track: args.track.track.clone(),
        exercise: args.exercise.clone(),
        input,
        version,
        timeout: args.timeout,
        deadline: args.deadline,
        fresh: args.fresh,
    };
    console.phase(&format!("sent to {} as {}, version {}", args.router.router, job.id, job.version));
    let answer = wait_for_answer(&client, &job, console)?;
    report(args.router.output.output, job.channel, &answer, console)
}

/// Chooses the version to run. Always asks for the deployed ones, which fails at once if no router is there.
fn version(args: &SubmitArgs, client: &Client) -> Result<ContainerVersion, CommandError> {
    let config = client.request(&json!({"action": "current_config"}), REQUEST_TIMEOUT)?;
    if let Some(version) = &args.version {
        return Ok(version.clone());
    }
    if !config.status.ok {
        return Err(Refused { request: "the deployed versions", status: config.status }.into());
    }
    let TrackArgs { channel, track } = &args.track;
    let last = deployed_versions(&config.response, *channel, track.as_str()).pop();
    let last =
        last.ok_or_else(|| InputError::NothingDeployed { channel: *channel, track: track.to_string() })?;
    Ok(last.parse()?)
}

/// Returns a URI under which workers can read the submission; uploads it first if a bucket was given.
fn input_uri(
    args: &SubmitArgs,
    submission: &Submission,
    id: &JobId,
    console: Console,
) -> Result<InputUri, CommandError> {
    match (submission, &args.bucket) {
        (Submission::Uri(uri), _) => Ok(uri.clone()),
        (Submission::Dir(dir), None) => Ok(input::file_uri(dir, &args.router.router)?),
        (Submission::Dir(dir), Some(bucket)) => {
            let prefix = format!("trackyard-submit/{id}");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            console.phase(&format!("uploading {} to s3://{bucket}/{prefix}", dir.display()));
            let upload = async {
                let bucket = Bucket::from_environment(bucket, args.s3_endpoint.as_deref()).await;
                bucket.upload(dir, &prefix).await
            };
            Ok(runtime.block_on(upload)?)
        }
    }
}

/// Waits for a job's answer, with a progress line every few seconds.
fn wait_for_answer(client: &Client, job: &JobRequest, console: Console) -> Result<Answer, CommandError> {
    client.send(&job.body())?;
    let start = Instant::now();
    let timeout = job.answer_timeout();
    loop {
        let left = timeout.saturating_sub(start.elapsed());
        match client.receive(left.min(PROGRESS_INTERVAL)) {
            Ok(answer) if answer.context.get("id").and_then(|id| id.as_str()) == Some(job.id.as_str()) => {
                return Ok(answer);
            }
            Ok(_) => {}
            Err(client::Error::TimedOut { address, keyed, .. }) if start.elapsed() >= timeout => {
                return Err(client::Error::TimedOut { address, waited: timeout, keyed }.into());
            }
            Err(client::Error::TimedOut { .. }) => {
                console.phase(&format!("waiting for {} s", start.elapsed().as_secs()));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Prints a job's answer.
///
/// # Errors
/// If standard output cannot be written.
pub fn report(
    form: Output,
    channel: Channel,
    answer: &Answer,
    console: Console,
) -> Result<Code, CommandError> {
    if form == Output::Json {
        console.data(&as_json(answer))?;
        return Ok(verdict::code(channel, answer));
    }
    job::phase_lines(answer).iter().for_each(|line| console.phase(line));
    console.data(&verdict::line(channel, answer))?;
    let details = verdict::details(channel, answer);
    if !details.is_empty() {
        console.data(&details)?;
    }
    if let Some(hint) = hint(&answer.status) {
        console.say(&format!("try: {hint}"));
    }
    Ok(verdict::code(channel, answer))
}
