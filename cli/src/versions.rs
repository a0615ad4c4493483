//! `deploy`, `unload` and `versions`: which container versions jobs may name.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::TrackSlug;
use trackyard_protocol::quantity::HumanDuration;
use trackyard_protocol::version::ContainerVersion;

use crate::args::{RouterArgs, TrackArgs, parse_channel};
use crate::console::{Console, escape_control};
use crate::error::{CommandError, Failure};
use crate::exit_code::Code;
use crate::router::{print_answer, request, strings};
use crate::table;

/// Interval between two checks whether a version is ready.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Arguments of `deploy`.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// The container version, such as git-0123456789abcdef0123456789abcdef01234567
    version: ContainerVersion,
    #[command(flatten)]
    track: TrackArgs,
    /// Wait, at most this long, until every worker that serves the track has the version ready [default: 2m]
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "2m")]
    wait: Option<HumanDuration>,
    #[command(flatten)]
    router: RouterArgs,
}

/// Arguments of `unload`.
#[derive(Debug, Args)]
pub struct UnloadArgs {
    /// The container version, such as git-0123456789abcdef0123456789abcdef01234567
    version: ContainerVersion,
    #[command(flatten)]
    track: TrackArgs,
    #[command(flatten)]
    router: RouterArgs,
}

/// Arguments of `versions`.
#[derive(Debug, Args)]
pub struct VersionsArgs {
    /// List all versions in the image source, deployed or not; needs --track
    #[arg(long, requires = "track")]
    available: bool,
    /// Only this track
    #[arg(long)]
    track: Option<TrackSlug>,
    /// Only this channel [default: all; with --available test_runners]
    #[arg(long, value_parser = parse_channel)]
    channel: Option<Channel>,
    #[command(flatten)]
    router: RouterArgs,
}

/// Runs `deploy`.
///
/// # Errors
/// If there is no answer in time, or the router refuses.
pub fn deploy(args: &DeployArgs, console: Console) -> Result<Code, CommandError> {
    let body = json!({"action": "deploy_container_version", "new_version": args.version});
    let done = format!("deployed {}", args.version);
    let code = change(&args.router, &args.track, "deploy", body, &done, console)?;
    if let Some(timeout) = args.wait {
        wait_until_ready(args, timeout, console)?;
    }
    Ok(code)
}

fn wait_until_ready(args: &DeployArgs, timeout: HumanDuration, console: Console) -> Result<(), CommandError> {
    let client = args.router.connect()?;
    let TrackArgs { channel, track } = &args.track;
    let body = json!({"action": "deployment_check", "channel": channel, "track_slug": track});
    let start = Instant::now();
    console.phase("waiting until the workers have the version ready");
    loop {
        let answer = request(&client, "deploy --wait", &body)?;
        let ready = answer.response.get("status").and_then(|status| status.get(args.version.as_str()));
        if ready == Some(&Value::Bool(true)) {
            console.say(&format!("{} is ready", args.version));
            return Ok(());
        }
        if start.elapsed() >= timeout.0 {
            return Err(NotReady { version: args.version.clone(), timeout }.into());
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// A deployed version was not ready on every worker in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{version} is deployed, but not ready on every worker that serves the track within {timeout}")]
pub struct NotReady {
    version: ContainerVersion,
    timeout: HumanDuration,
}

impl Failure for NotReady {
    fn code(&self) -> Code {
        Code::Refused
    }

    fn hint(&self) -> Option<String> {
        Some(
            "`trackyard status` shows which versions each worker has ready, and why others failed".to_owned(),
        )
    }
}

/// Runs `unload`.
///
/// # Errors
/// If there is no answer in time, or the router refuses.
pub fn unload(args: &UnloadArgs, console: Console) -> Result<Code, CommandError> {
    let body = json!({"action": "unload_container_version", "version": args.version});
    let done = format!("unloaded {}", args.version);
    change(&args.router, &args.track, "unload", body, &done, console)
}

fn change(
    router: &RouterArgs,
    track: &TrackArgs,
    name: &'static str,
    mut body: Value,
    done: &str,
    console: Console,
) -> Result<Code, CommandError> {
    if let Some(fields) = body.as_object_mut() {
        fields.insert("channel".to_owned(), json!(track.channel));
        fields.insert("track_slug".to_owned(), json!(track.track));
    }
    let answer = request(&router.connect()?, name, &body)?;
    console.say(&format!("{done} for {} of {}", track.track, track.channel));
    print_answer(&router.output, &answer, console, |answer| {
        deployed_table(&answer.response, None, Some(&track.track))
    })
}

/// Runs `versions`.
///
/// # Errors
/// If there is no answer in time, or the router refuses.
pub fn list(args: &VersionsArgs, console: Console) -> Result<Code, CommandError> {
    let client = args.router.connect()?;
    if let (true, Some(track)) = (args.available, &args.track) {
        let channel = args.channel.unwrap_or(Channel::TestRunners);
        let body = json!({"action": "list_available_containers", "channel": channel, "track_slug": track});
        let answer = request(&client, "versions --available", &body)?;
        return print_answer(&args.router.output, &answer, console, |answer| {
            available_table(&answer.response)
        });
    }
    let answer = request(&client, "versions", &json!({"action": "current_config"}))?;
    print_answer(&args.router.output, &answer, console, |answer| {
        deployed_table(&answer.response, args.channel, args.track.as_ref())
    })
}

/// Formats the versions of a `container_versions` answer, of all channels and tracks or of one.
fn deployed_table(response: &Value, channel: Option<Channel>, track: Option<&TrackSlug>) -> String {
    let mut rows = Vec::new();
    for (channel_name, tracks) in fields(response.get("container_versions")) {
        for (track_name, list) in fields(Some(tracks)) {
            let is_listed = channel.is_none_or(|c| c.as_str() == channel_name)
                && track.is_none_or(|t| t.as_str() == track_name);
            let versions = if is_listed { strings(Some(list)) } else { Vec::new() };
            rows.extend(versions.into_iter().map(|v| vec![channel_name.clone(), track_name.clone(), v]));
        }
    }
    table::render(&["CHANNEL", "TRACK", "VERSION"], &rows)
}

/// Formats a `list_images` answer: a row for each tag, with its digest.
fn available_table(response: &Value) -> String {
    let images: BTreeMap<String, Vec<String>> = fields(response.get("list_images"))
        .map(|(digest, tags)| (digest.clone(), strings(Some(tags))))
        .collect();
    let rows: Vec<Vec<String>> = images
        .iter()
        .flat_map(|(digest, tags)| tags.iter().map(|tag| vec![escape_control(tag), escape_control(digest)]))
        .collect();
    table::render(&["VERSION", "DIGEST"], &rows)
}

fn fields(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deployed_versions_can_be_filtered() {
        let response = json!({"container_versions": {
            "test_runners": {"ruby": ["git-1", "git-2"], "python": ["git-3"]},
            "representers": {"python": ["git-4"]},
        }});
        let track = TrackSlug::new("python").unwrap();
        insta::assert_snapshot!(format!(
            "{}\n\n{}",
            deployed_table(&response, None, None),
            deployed_table(&response, Some(Channel::Representers), Some(&track))
        ));
    }

    #[test]
    fn available_versions_have_a_row_each() {
        let response = json!({"list_images": {"sha256:b": ["git-2", "latest"], "sha256:a": ["git-1"]}});
        insta::assert_snapshot!(available_table(&response));
    }
}
