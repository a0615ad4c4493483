//! `build`: from a git reference to a released container version.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use trackyard_protocol::answer::Answer;
use trackyard_protocol::build::{BuildProgress, BuildResponse, BuildState};
use trackyard_protocol::client::{self, Client};

use crate::args::{Output, PlaceArgs, RouterArgs};
use crate::console::{Console, harmless};
use crate::error::Error;
use crate::exit_code::Code;
use crate::router::{PATIENCE, Refused, as_json, hint};

/// Between two questions for new lines.
const POLL: Duration = Duration::from_millis(300);
/// Between two signs of life while nothing is followed.
const SIGN: Duration = Duration::from_secs(10);
/// After so many answers in a row that there is no such build, it is asked for again.
const UNKNOWN: u32 = 10;
/// Lines of a failed build's log that are shown if it was not followed.
const LAST_LINES: usize = 30;

/// Arguments of `build`.
#[derive(Debug, Args)]
pub struct Build {
    /// A 40-hex sha, a branch or a tag of the track's tooling repository
    git_reference: String,
    #[command(flatten)]
    place: PlaceArgs,
    /// Show the build's log while it grows
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
/// If there is no answer, or the build failed.
pub fn run(args: &Build, console: Console) -> Result<Code, Error> {
    let address = &args.router.router;
    let (client, mut follower) = (args.router.connect()?, Follower::new(args, console)?);
    // Asking first finds out at once if a router is there.
    follower.poll()?;
    client.send(&request(args))?;
    console.phase(&format!("asked {address} to build {} for {}", args.git_reference, args.place.track));
    let answer = wait_for(args, &client, &mut follower)?;
    report(args, &answer, &follower, console)
}

fn request(args: &Build) -> Value {
    let mut request = of_build(args, "build_container");
    if let (Some(timeout), Some(fields)) = (args.timeout, request.as_object_mut()) {
        fields.insert("execution_timeout".to_owned(), json!(timeout));
    }
    request
}

fn of_build(args: &Build, action: &str) -> Value {
    json!({
        "action": action, "channel": args.place.channel, "track_slug": args.place.track,
        "git_reference": args.git_reference
    })
}

/// The router ends a build at its limit, so the answer comes. Where it has none in hand any more and has not answered
/// either, it has died, or the answer was lost: it is asked again, and gives the answer that it has or builds.
fn wait_for(args: &Build, client: &Client, follower: &mut Follower<'_>) -> Result<Answer, Error> {
    let mut unknown = 0;
    loop {
        match client.receive(POLL) {
            Ok(answer) => return Ok(answer),
            Err(client::Error::TimedOut { .. }) => follower.poll()?,
            Err(error) => return Err(error.into()),
        }
        unknown = if follower.state == Some(BuildState::None) { unknown + 1 } else { 0 };
        if unknown == UNKNOWN {
            unknown = 0;
            follower.console.say("the router knows nothing of this build; asking again");
            client.send(&request(args))?;
        }
    }
}

fn report(args: &Build, answer: &Answer, follower: &Follower<'_>, console: Console) -> Result<Code, Error> {
    let logs = |from: &Value| from.get("logs").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !answer.status.ok {
        let logs = logs(&answer.context);
        let skip =
            if args.follow { follower.shown() } else { logs.lines().count().saturating_sub(LAST_LINES) };
        follower.show(logs.lines().skip(skip));
        let status = answer.status.clone();
        if let Some(hint) = hint(&status) {
            console.phase(hint);
        }
        return Err(Refused { asked: "build", status }.into());
    }
    if args.follow {
        follower.show(logs(&answer.response).lines().skip(follower.shown()));
    }
    match args.router.output.output {
        Output::Json => console.data(&as_json(answer))?,
        Output::Text => {
            let built: BuildResponse = serde_json::from_value(answer.response.clone()).map_err(|error| {
                let (address, why) = (args.router.router.clone(), error.to_string());
                client::Error::NotAnAnswer { address, why }
            })?;
            console.say(&harmless(&built.message));
            console.data(&format!("{}\n", harmless(&built.image_tag)))?;
        }
    }
    Ok(Code::Done)
}

/// Asks for a build's new lines, and shows them.
struct Follower<'a> {
    args: &'a Build,
    client: Client,
    console: Console,
    next: u64,
    state: Option<BuildState>,
    signed: Instant,
}

impl<'a> Follower<'a> {
    fn new(args: &'a Build, console: Console) -> Result<Self, Error> {
        let client = args.router.connect()?;
        Ok(Self { args, client, console, next: 0, state: None, signed: Instant::now() })
    }

    fn poll(&mut self) -> Result<(), Error> {
        let mut request = of_build(self.args, "build_log");
        if let Some(fields) = request.as_object_mut() {
            fields.insert("from".to_owned(), json!(self.next));
        }
        let answer = self.client.request(&request, PATIENCE)?;
        if !answer.status.ok {
            return Err(Refused { asked: "build", status: answer.status }.into());
        }
        let Ok(progress) = serde_json::from_value::<BuildProgress>(answer.response) else { return Ok(()) };
        if self.args.follow {
            self.show(progress.log.lines.iter().map(String::as_str));
            self.next = progress.log.next;
        }
        self.tell(progress.state);
        Ok(())
    }

    fn tell(&mut self, state: BuildState) {
        let changed = self.state.replace(state) != Some(state);
        let due = !self.args.follow && self.signed.elapsed() >= SIGN;
        if !changed && !due {
            return;
        }
        self.signed = Instant::now();
        match state {
            BuildState::None => {}
            BuildState::Waiting => self.console.phase("waiting for a builder"),
            BuildState::Running => self.console.phase("building"),
        }
    }

    fn shown(&self) -> usize {
        usize::try_from(self.next).unwrap_or(usize::MAX)
    }

    fn show<'l>(&self, lines: impl Iterator<Item = &'l str>) {
        lines.for_each(|line| self.console.say(&harmless(line)));
    }
}
