//! `local build`: builds images from git repositories on this machine, with a real router and a real builder.

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

use super::LocalError;
use super::layouts::{LayoutVersions, parse_repository};
use super::lifecycle::with_platform;
use super::plan::WorkerPlan;
use super::platform::PlatformOptions;
use super::state_dir::{StateDir, canonical};
use crate::console::{Console, escape_control};
use crate::error::CommandError;
use crate::exit_code::Code;
use crate::router::Refused;

/// Timeout of a build's answer. The router ends a build at its own limit, long before.
const BUILD_TIMEOUT: Duration = Duration::from_secs(2 * 60 * 60);

/// Arguments of `local build`.
#[derive(Debug, Args)]
pub(super) struct LocalBuildArgs {
    /// What to build: REPOSITORY@REFERENCE, such as ruby-test-runner@main; the reference is a whole sha, a branch or a
    /// tag
    #[arg(required = true, value_name = "REPOSITORY@REFERENCE")]
    targets: Vec<BuildTarget>,
    /// The directory of the git repositories
    #[arg(long, value_name = "DIR")]
    repositories: PathBuf,
    /// The directory of image layouts, created if it does not exist
    #[arg(long, value_name = "DIR", env = "TRACKYARD_IMAGES")]
    images: PathBuf,
    /// The image builder: img, buildkit or buildah
    #[arg(long, env = "TRACKYARD_DRIVER", default_value = "img")]
    driver: String,
    /// The directory of the driver's programs, if they are not in PATH
    #[arg(long, env = "TRACKYARD_TOOLS", value_name = "DIR")]
    tools: Option<PathBuf>,
}

/// A repository and the reference to build of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct BuildTarget {
    channel: Channel,
    track: TrackSlug,
    reference: String,
}

impl FromStr for BuildTarget {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "must be REPOSITORY@REFERENCE, the repository's name such as ruby-test-runner";
        let (repository, reference) = text.split_once('@').ok_or(expected)?;
        let (channel, track) = parse_repository(repository).ok_or(expected)?;
        Ok(Self { channel, track, reference: reference.to_owned() })
    }
}

/// Runs `local build`.
pub(super) async fn run(args: LocalBuildArgs, console: Console) -> Result<Code, CommandError> {
    std::fs::create_dir_all(&args.images).map_err(LocalError::file("create the directory", &args.images))?;
    let state_dir = StateDir::new(None)?;
    let options = PlatformOptions {
        dir: state_dir.path(),
        images: canonical(&args.images)?,
        versions: LayoutVersions::new(),
        workers: vec![WorkerPlan { channel: Channel::Builders, track: None, flags: flags(&args) }],
        slots: 1,
        dirs: Vec::new(),
        memory: Bytes(1 << 30),
        repositories: Some(canonical(&args.repositories)?),
        use_default_ports: false,
    };
    let result = with_platform(options, console, async |platform| {
        for target in &args.targets {
            build(platform.router(), target, console).await?;
        }
        Ok(Code::Done)
    });
    let result = result.await;
    state_dir.close(console)?;
    result.map(|(code, _)| code)
}

fn flags(args: &LocalBuildArgs) -> Vec<String> {
    let mut flags = vec!["--driver".to_owned(), args.driver.clone()];
    if let Some(tools) = &args.tools {
        flags.extend(["--tools".to_owned(), tools.display().to_string()]);
    }
    flags
}

async fn build(router: String, target: &BuildTarget, console: Console) -> Result<(), CommandError> {
    let BuildTarget { channel, track, reference } = target;
    console.say(&format!("local: building {reference} for {track} of {channel}"));
    let request = json!({
        "action": "build_container", "channel": channel, "track_slug": track, "git_reference": reference
    });
    let answer = request_in_background(router, request).await?;
    if !answer.status.ok {
        console.say(&text(&answer.context, "logs"));
        return Err(Refused { request: "local build", status: answer.status }.into());
    }
    console.say(&format!("local: {}", text(&answer.response, "message")));
    Ok(())
}

fn text(object: &Value, field: &str) -> String {
    escape_control(object.get(field).and_then(Value::as_str).unwrap_or_default())
}

async fn request_in_background(router: String, request: Value) -> Result<Answer, CommandError> {
    let answer =
        tokio::task::spawn_blocking(move || Client::connect(&router)?.request(&request, BUILD_TIMEOUT));
    Ok(answer.await.map_err(std::io::Error::other)??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_repository_and_a_reference() {
        let target: BuildTarget = "emacs-lisp-test-runner@feature/x".parse().unwrap();
        assert_eq!((target.channel, target.track.as_str()), (Channel::TestRunners, "emacs-lisp"));
        assert_eq!(target.reference, "feature/x");
        for wrong in ["ruby-test-runner", "something@main", "Ruby-test-runner@main"] {
            assert!(wrong.parse::<BuildTarget>().is_err(), "{wrong}");
        }
    }
}
