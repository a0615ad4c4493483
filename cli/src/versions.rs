//! `deploy`, `unload` and `versions`: which container versions jobs may name.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use trackyard_protocol::answer::Answer;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::TrackSlug;
use trackyard_protocol::quantity::HumanDuration;
use trackyard_protocol::version::ContainerVersion;

use crate::args::{Output, PlaceArgs, RouterArgs, channel};
use crate::console::{Console, harmless};
use crate::error::Error;
use crate::exit_code::Code;
use crate::router::{as_json, ask, texts};
use crate::table;

/// Between two questions whether a version is ready.
const POLL: Duration = Duration::from_millis(200);

/// Arguments of `deploy`.
#[derive(Debug, Args)]
pub struct Deploy {
    /// The container version, such as git-0123456789abcdef0123456789abcdef01234567
    version: ContainerVersion,
    #[command(flatten)]
    place: PlaceArgs,
    /// Wait until every worker that serves the track has it ready, at most so long [default: 2m]
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "2m")]
    wait: Option<HumanDuration>,
    #[command(flatten)]
    router: RouterArgs,
}

/// Arguments of `unload`.
#[derive(Debug, Args)]
pub struct Unload {
    /// The container version, such as git-0123456789abcdef0123456789abcdef01234567
    version: ContainerVersion,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    router: RouterArgs,
}

/// Arguments of `versions`.
#[derive(Debug, Args)]
pub struct Versions {
    /// List what the image source has, deployed or not; needs --track
    #[arg(long, requires = "track")]
    available: bool,
    /// Only this track
    #[arg(long)]
    track: Option<TrackSlug>,
    /// Only this channel; with --available the default is test_runners
    #[arg(long, value_parser = channel)]
    channel: Option<Channel>,
    #[command(flatten)]
    router: RouterArgs,
}

/// Runs `deploy`.
///
/// # Errors
/// If there is no answer, or the router refuses.
pub fn deploy(args: &Deploy, console: Console) -> Result<Code, Error> {
    let asked = json!({"action": "deploy_container_version", "new_version": args.version});
    let done = format!("deployed {}", args.version);
    let code = change(&args.router, &args.place, "deploy", asked, &done, console)?;
    if let Some(patience) = args.wait {
        wait_until_ready(args, patience, console)?;
    }
    Ok(code)
}

fn wait_until_ready(args: &Deploy, patience: HumanDuration, console: Console) -> Result<(), Error> {
    let client = args.router.connect()?;
    let PlaceArgs { channel, track } = &args.place;
    let request = json!({"action": "deployment_check", "channel": channel, "track_slug": track});
    let start = Instant::now();
    console.phase("waiting until the workers have it ready");
    loop {
        let answer = ask(&client, "deploy --wait", &request)?;
        let ready = answer.response.get("status").and_then(|status| status.get(args.version.as_str()));
        if ready == Some(&Value::Bool(true)) {
            console.say(&format!("{} is ready", args.version));
            return Ok(());
        }
        if start.elapsed() >= patience.0 {
            return Err(NotReady { version: args.version.clone(), patience }.into());
        }
        std::thread::sleep(POLL);
    }
}

/// A deployed version is not ready on all workers in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{version} is deployed, but not ready on every worker that serves the track within {patience}")]
pub struct NotReady {
    version: ContainerVersion,
    patience: HumanDuration,
}

/// Runs `unload`.
///
/// # Errors
/// If there is no answer, or the router refuses.
pub fn unload(args: &Unload, console: Console) -> Result<Code, Error> {
    let asked = json!({"action": "unload_container_version", "version": args.version});
    let done = format!("unloaded {}", args.version);
    change(&args.router, &args.place, "unload", asked, &done, console)
}

fn change(
    router: &RouterArgs,
    place: &PlaceArgs,
    what: &'static str,
    mut request: Value,
    done: &str,
    console: Console,
) -> Result<Code, Error> {
    if let Some(fields) = request.as_object_mut() {
        fields.insert("channel".to_owned(), json!(place.channel));
        fields.insert("track_slug".to_owned(), json!(place.track));
    }
    let answer = ask(&router.connect()?, what, &request)?;
    console.say(&format!("{done} for {} of {}", place.track, place.channel));
    show(router, &answer, console, |answer| deployed_table(&answer.response, None, Some(&place.track)))
}

/// Runs `versions`.
///
/// # Errors
/// If there is no answer, or the router refuses.
pub fn list(args: &Versions, console: Console) -> Result<Code, Error> {
    let client = args.router.connect()?;
    if let (true, Some(track)) = (args.available, &args.track) {
        let channel = args.channel.unwrap_or(Channel::TestRunners);
        let request = json!({"action": "list_available_containers", "channel": channel, "track_slug": track});
        let answer = ask(&client, "versions --available", &request)?;
        return show(&args.router, &answer, console, |answer| available_table(&answer.response));
    }
    let answer = ask(&client, "versions", &json!({"action": "current_config"}))?;
    show(&args.router, &answer, console, |answer| {
        deployed_table(&answer.response, args.channel, args.track.as_ref())
    })
}

/// Prints an answer in the form that was asked for.
pub(crate) fn show(
    router: &RouterArgs,
    answer: &Answer,
    console: Console,
    text: impl Fn(&Answer) -> String,
) -> Result<Code, Error> {
    match router.output.output {
        Output::Text => console.data(&text(answer))?,
        Output::Json => console.data(&as_json(answer))?,
    }
    Ok(Code::Done)
}

/// The deployed versions of a `container_versions` answer, or of a part of it.
fn deployed_table(response: &Value, channel: Option<Channel>, track: Option<&TrackSlug>) -> String {
    let mut rows = Vec::new();
    for (channel_word, tracks) in fields(response.get("container_versions")) {
        for (track_word, list) in fields(Some(tracks)) {
            let wanted = channel.is_none_or(|c| c.as_str() == channel_word)
                && track.is_none_or(|t| t.as_str() == track_word);
            let versions = if wanted { texts(Some(list)) } else { Vec::new() };
            rows.extend(versions.into_iter().map(|v| vec![channel_word.clone(), track_word.clone(), v]));
        }
    }
    table::render(&["CHANNEL", "TRACK", "VERSION"], &rows)
}

/// A `list_images` answer: each digest with its tags.
fn available_table(response: &Value) -> String {
    let images: BTreeMap<String, Vec<String>> = fields(response.get("list_images"))
        .map(|(digest, tags)| (digest.clone(), texts(Some(tags))))
        .collect();
    let rows: Vec<Vec<String>> = images
        .iter()
        .flat_map(|(digest, tags)| tags.iter().map(|tag| vec![harmless(tag), harmless(digest)]))
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
    fn deployed_versions_are_a_row_each_and_can_be_narrowed() {
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
    fn available_images_are_a_row_for_each_tag() {
        let response = json!({"list_images": {"sha256:b": ["git-2", "latest"], "sha256:a": ["git-1"]}});
        insta::assert_snapshot!(available_table(&response));
    }
}
