//! `submit`: one submission through its track's container.

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

use crate::args::{Output, PlaceArgs, RouterArgs};
use crate::console::Console;
use crate::error::Error;
use crate::exit_code::Code;
use crate::router::{PATIENCE, Refused, as_json, deployed, hint};
use crate::verdict;

pub use input::{InputError, Submission};
pub use job::Job;
pub use upload::{Bucket, UploadError};

/// Arguments of `submit`.
#[derive(Debug, Args)]
pub struct Submit {
    /// A directory of this machine, or where the files are: s3://bucket/prefix or file:///directory (a directory of the
    /// worker's machine)
    submission: String,
    #[command(flatten)]
    place: PlaceArgs,
    /// The exercise's slug, such as two-fer
    #[arg(long)]
    exercise: ExerciseSlug,
    /// The container version [default: the track's last deployed one]
    #[arg(long)]
    version: Option<ContainerVersion>,
    /// How many seconds the container may run [default: the track's limit]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,
    /// How long to wait for the answer in all, such as 30s
    #[arg(long, value_name = "DURATION")]
    deadline: Option<HumanDuration>,
    /// Run again, even if the answer to this id is known
    #[arg(long)]
    fresh: bool,
    /// The job's id: the same id and files get the same answer [default: a random one]
    #[arg(long)]
    id: Option<JobId>,
    /// Store a directory's files in this bucket, for a router on another machine
    #[arg(long)]
    bucket: Option<String>,
    /// The S3 API that has the bucket [default: Amazon's]
    #[arg(long, value_name = "URL", requires = "bucket")]
    s3_endpoint: Option<String>,
    #[command(flatten)]
    router: RouterArgs,
}

/// Runs `submit`.
///
/// # Errors
/// If the files cannot be handed over, or there is no answer.
pub fn run(args: &Submit, console: Console) -> Result<Code, Error> {
    let submission = Submission::find(&args.submission)?;
    let client = args.router.connect()?;
    let version = version(args, &client)?;
    let id = match &args.id {
        Some(id) => id.clone(),
        None => JobId::new(format!("cli-{:016x}", rand::random::<u64>()))?,
    };
    let input = hand_over(args, &submission, &id, console)?;
    let job = Job {
        id,
        channel: args.place.channel,
        track: args.place.track.clone(),
        exercise: args.exercise.clone(),
        input,
        version,
        timeout: args.timeout,
        deadline: args.deadline,
        fresh: args.fresh,
    };
    console.phase(&format!("sent to {} as {}, version {}", args.router.router, job.id, job.version));
    let answer = wait_for(&client, &job, console)?;
    report(args.router.output.output, job.channel, &answer, console)
}

/// The version to run. Asking for the deployed ones also finds out at once if a router is there.
fn version(args: &Submit, client: &Client) -> Result<ContainerVersion, Error> {
    let config = client.request(&json!({"action": "current_config"}), PATIENCE)?;
    if let Some(version) = &args.version {
        return Ok(version.clone());
    }
    if !config.status.ok {
        return Err(Refused { asked: "the deployed versions", status: config.status }.into());
    }
    let (channel, track) = (args.place.channel, args.place.track.as_str());
    let last = deployed(&config.response, channel, track).pop();
    let last = last.ok_or_else(|| InputError::NothingDeployed { channel, track: track.to_owned() })?;
    Ok(last.parse()?)
}

/// Gives the submission an address that a worker can read.
fn hand_over(
    args: &Submit,
    submission: &Submission,
    id: &JobId,
    console: Console,
) -> Result<InputUri, Error> {
    match (submission, &args.bucket) {
        (Submission::Elsewhere(uri), _) => Ok(uri.clone()),
        (Submission::Dir(dir), None) => Ok(input::file_uri(dir, &args.router.router)?),
        (Submission::Dir(dir), Some(bucket)) => {
            let prefix = format!("trackyard-submit/{id}");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            console.phase(&format!("storing {} in s3://{bucket}/{prefix}", dir.display()));
            let store = async {
                let bucket = Bucket::from_environment(bucket, args.s3_endpoint.as_deref()).await;
                bucket.store(dir, &prefix).await
            };
            Ok(runtime.block_on(store)?)
        }
    }
}

/// Waits, and says so now and then.
fn wait_for(client: &Client, job: &Job, console: Console) -> Result<Answer, Error> {
    client.send(&job.request())?;
    let (start, patience) = (Instant::now(), job.patience());
    loop {
        let left = patience.saturating_sub(start.elapsed());
        match client.receive(left.min(Duration::from_secs(5))) {
            Ok(answer) if answer.context.get("id").and_then(|id| id.as_str()) == Some(job.id.as_str()) => {
                return Ok(answer);
            }
            Ok(_) => {}
            Err(client::Error::TimedOut { address, keyed, .. }) if start.elapsed() >= patience => {
                return Err(client::Error::TimedOut { address, waited: patience, keyed }.into());
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
/// If standard output takes no more.
pub fn report(form: Output, channel: Channel, answer: &Answer, console: Console) -> Result<Code, Error> {
    if form == Output::Json {
        console.data(&as_json(answer))?;
        return Ok(verdict::code(channel, answer));
    }
    job::phases(answer).iter().for_each(|line| console.phase(line));
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
