//! `local build`: images from git repositories of this machine, by a real router and a real builder.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use trackyard_protocol::answer::Answer;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::client::Client;
use trackyard_protocol::name::TrackSlug;
use trackyard_protocol::quantity::Bytes;

use super::Error;
use super::home::{Home, canonical};
use super::layouts::{Versions, place_of};
use super::lifecycle::with_platform;
use super::plan::WorkerPlan;
use super::platform::Options;
use crate::console::{Console, harmless};
use crate::error::Error as CommandError;
use crate::exit_code::Code;
use crate::router::Refused;

/// The router ends a build at its own limit, long before.
const PATIENCE: Duration = Duration::from_secs(2 * 60 * 60);

/// Arguments of `local build`.
#[derive(Debug, Args)]
pub(super) struct Build {
    /// What to build: REPOSITORY@REFERENCE, such as ruby-test-runner@main; the reference is a whole sha, a branch or a
    /// tag
    #[arg(required = true, value_name = "REPOSITORY@REFERENCE")]
    builds: Vec<Asked>,
    /// The directory of the git repositories
    #[arg(long, value_name = "DIR")]
    repositories: PathBuf,
    /// The directory of image layouts, made if it is not there
    #[arg(long, value_name = "DIR", env = "TRACKYARD_IMAGES")]
    images: PathBuf,
    /// What builds: img, buildkit or buildah
    #[arg(long, env = "TRACKYARD_DRIVER", default_value = "img")]
    driver: String,
    /// The directory of the driver's programs, if they are not in PATH
    #[arg(long, env = "TRACKYARD_TOOLS", value_name = "DIR")]
    tools: Option<PathBuf>,
}

/// One thing to build.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    channel: Channel,
    track: TrackSlug,
    reference: String,
}

impl FromStr for Asked {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('@').and_then(|(name, reference)| Some((place_of(name)?, reference)));
        let ((channel, track), reference) =
            parts.ok_or("must be REPOSITORY@REFERENCE, the repository's name such as ruby-test-runner")?;
        Ok(Self { channel, track, reference: reference.to_owned() })
    }
}

/// Runs `local build`.
pub(super) async fn run(args: Build, console: Console) -> Result<Code, CommandError> {
    std::fs::create_dir_all(&args.images).map_err(Error::file("make the directory", &args.images))?;
    let home = Home::new(None)?;
    let options = Options {
        dir: home.path(),
        images: canonical(&args.images)?,
        versions: Versions::new(),
        workers: vec![WorkerPlan { channel: Channel::Builders, track: None, flags: flags(&args) }],
        slots: 1,
        dirs: Vec::new(),
        memory: Bytes(1 << 30),
        repositories: Some(canonical(&args.repositories)?),
        usual_ports: false,
    };
    let result = with_platform(options, console, async |platform| {
        for asked in &args.builds {
            build(platform.router(), asked, console).await?;
        }
        Ok(Code::Done)
    });
    let result = result.await;
    home.leave(console)?;
    result.map(|(code, _)| code)
}

fn flags(args: &Build) -> Vec<String> {
    let mut flags = vec!["--driver".to_owned(), args.driver.clone()];
    if let Some(tools) = &args.tools {
        flags.extend(["--tools".to_owned(), tools.display().to_string()]);
    }
    flags
}

async fn build(router: String, asked: &Asked, console: Console) -> Result<(), CommandError> {
    let Asked { channel, track, reference } = asked;
    console.say(&format!("local: building {reference} for {track} of {channel}"));
    let request = json!({
        "action": "build_container", "channel": channel, "track_slug": track, "git_reference": reference
    });
    let answer = ask(router, request).await?;
    let said = |of: &Value, field: &str| harmless(of.get(field).and_then(Value::as_str).unwrap_or_default());
    if !answer.status.ok {
        console.say(&said(&answer.context, "logs"));
        return Err(Refused { asked: "local build", status: answer.status }.into());
    }
    console.say(&format!("local: {}", said(&answer.response, "message")));
    Ok(())
}

async fn ask(router: String, request: Value) -> Result<Answer, CommandError> {
    let asked = tokio::task::spawn_blocking(move || Client::connect(&router)?.request(&request, PATIENCE));
    Ok(asked.await.map_err(std::io::Error::other)??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_build_is_a_repository_and_a_reference() {
        let asked: Asked = "emacs-lisp-test-runner@feature/x".parse().unwrap();
        assert_eq!((asked.channel, asked.track.as_str()), (Channel::TestRunners, "emacs-lisp"));
        assert_eq!(asked.reference, "feature/x");
        for wrong in ["ruby-test-runner", "something@main", "Ruby-test-runner@main"] {
            assert!(wrong.parse::<Asked>().is_err(), "{wrong}");
        }
    }
}
