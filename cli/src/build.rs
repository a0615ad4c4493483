//! `build`: builds and releases a container version from a git reference.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use trackyard_protocol::answer::Answer;
use trackyard_protocol::build::{BuildProgress, BuildResponse, BuildState};
use trackyard_protocol::client::{self, Client};

use crate::args::{Output, RouterArgs, TrackArgs};
use crate::console::{Console, escape_control};
use crate::error::CommandError;
use crate::exit_code::Code;
use crate::router::{self, Refused, as_json};

/// Interval between two requests for the state of the build, and for its new log lines.
const POLL_INTERVAL: Duration = Duration::from_millis(300);
/// Interval between two progress lines while the log is not followed.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);
/// After this many answers in a row that there is no such build, the build is requested again.
const MAX_UNKNOWN_ANSWERS: u32 = 10;
/// At most this many lines of a failed build's log are shown if it was not followed.
const MAX_FAILURE_LINES: usize = 30;

/// Arguments of `build`.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// A 40-hex sha, a branch or a tag of the track's tooling repository
    git_reference: String,
    #[command(flatten)]
    track: TrackArgs,
    /// Show the build's log as it grows
    #[arg(long, short)]
    follow: bool,
    /// How many seconds the build may take [default: the router's limit, 15 minutes if not set]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,
    #[command(flatten)]
    router: RouterArgs,
}

/// Runs `build`.
///
/// # Errors
/// If there is no answer in time, or the build failed.
pub fn run(args: &BuildArgs, console: Console) -> Result<Code, CommandError> {
    let address = &args.router.router;
    let client = args.router.connect()?;
    let mut log = LogFollower::new(args, console)?;
    // This first request fails at once if no router is there.
    log.poll()?;
    client.send(&build_request(args))?;
    console.phase(&format!("asked {address} to build {} for {}", args.git_reference, args.track.track));
    let answer = wait_for_answer(args, &client, &mut log)?;
    report(args, &answer, &log, console)
}

fn build_request(args: &BuildArgs) -> Value {
    let mut request = request(args, "build_container");
    if let (Some(timeout), Some(fields)) = (args.timeout, request.as_object_mut()) {
        fields.insert("execution_timeout".to_owned(), json!(timeout));
    }
    request
}

fn request(args: &BuildArgs, action: &str) -> Value {
    json!({
        "action": action, "channel": args.track.channel, "track_slug": args.track.track,
        "git_reference": args.git_reference
    })
}

/// Waits for the answer to a build. The router ends each build at its limit, so an answer comes. If the router no longer
/// knows the build and has not answered, it was restarted or the answer was lost. Then the build is requested again: the
/// router sends the answer that it has, or builds.
fn wait_for_answer(
    args: &BuildArgs,
    client: &Client,
    log: &mut LogFollower<'_>,
) -> Result<Answer, CommandError> {
    let mut unknown = 0;
    loop {
        match client.receive(POLL_INTERVAL) {
            Ok(answer) => return Ok(answer),
            Err(client::Error::TimedOut { .. }) => log.poll()?,
            Err(error) => return Err(error.into()),
        }
        unknown = if log.state == Some(BuildState::None) { unknown + 1 } else { 0 };
        if unknown == MAX_UNKNOWN_ANSWERS {
            unknown = 0;
            log.console.say("the router does not know this build any more; requesting it again");
            client.send(&build_request(args))?;
        }
    }
}

fn report(
    args: &BuildArgs,
    answer: &Answer,
    log: &LogFollower<'_>,
    console: Console,
) -> Result<Code, CommandError> {
    if !answer.status.ok {
        let lines = log_text(&answer.context);
        let skip =
            if args.follow { log.shown() } else { lines.lines().count().saturating_sub(MAX_FAILURE_LINES) };
        log.show(lines.lines().skip(skip));
        return Err(Refused { request: "build", status: answer.status.clone() }.into());
    }
    if args.follow {
        log.show(log_text(&answer.response).lines().skip(log.shown()));
    }
    match args.router.output.output {
        Output::Json => console.data(&as_json(answer))?,
        Output::Text => {
            let built: BuildResponse = serde_json::from_value(answer.response.clone()).map_err(|error| {
                client::Error::NotAnAnswer { address: args.router.router.clone(), why: error.to_string() }
            })?;
            console.say(&escape_control(&built.message));
            console.data(&format!("{}\n", escape_control(&built.image_tag)))?;
        }
    }
    Ok(Code::Done)
}

fn log_text(section: &Value) -> &str {
    section.get("logs").and_then(Value::as_str).unwrap_or_default()
}

/// Asks for a build's state and new log lines, and shows them.
struct LogFollower<'a> {
    args: &'a BuildArgs,
    client: Client,
    console: Console,
    next_line: u64,
    state: Option<BuildState>,
    last_progress: Instant,
}

impl<'a> LogFollower<'a> {
    fn new(args: &'a BuildArgs, console: Console) -> Result<Self, CommandError> {
        let client = args.router.connect()?;
        Ok(Self { args, client, console, next_line: 0, state: None, last_progress: Instant::now() })
    }

    fn poll(&mut self) -> Result<(), CommandError> {
        let mut body = request(self.args, "build_log");
        if let Some(fields) = body.as_object_mut() {
            fields.insert("from".to_owned(), json!(self.next_line));
        }
        let answer = router::request(&self.client, "build", &body)?;
        let Ok(progress) = serde_json::from_value::<BuildProgress>(answer.response) else { return Ok(()) };
        if self.args.follow {
            self.show(progress.log.lines.iter().map(String::as_str));
            self.next_line = progress.log.next;
        }
        self.report_state(progress.state);
        Ok(())
    }

    fn report_state(&mut self, state: BuildState) {
        let has_changed = self.state.replace(state) != Some(state);
        let is_due = !self.args.follow && self.last_progress.elapsed() >= PROGRESS_INTERVAL;
        if !has_changed && !is_due {
            return;
        }
        self.last_progress = Instant::now();
        match state {
            BuildState::None => {}
            BuildState::Waiting => self.console.phase("waiting for a builder"),
            BuildState::Running => self.console.phase("building"),
        }
    }

    fn shown(&self) -> usize {
        usize::try_from(self.next_line).unwrap_or(usize::MAX)
    }

    fn show<'l>(&self, lines: impl Iterator<Item = &'l str>) {
        lines.for_each(|line| self.console.say(&escape_control(line)));
    }
}
