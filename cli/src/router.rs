//! Requests to the router, and what to do when it refuses one.

use std::time::Duration;

use serde_json::{Value, json};
use trackyard_protocol::answer::{Answer, Status};
use trackyard_protocol::channel::Channel;
use trackyard_protocol::client::Client;
use trackyard_protocol::reason::Reason;

use crate::args::{Output, OutputArgs};
use crate::console::{Console, escape_control};
use crate::error::{CommandError, Failure};
use crate::exit_code::Code;

/// How long the router may take to answer any request but a job or a build.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The router answered with an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{request}: {} {}: {}", .status.status_code, .status.reason.as_deref().map_or("-".to_owned(), escape_control), escape_control(&.status.message))]
pub struct Refused {
    /// Name of the refused request.
    pub request: &'static str,
    /// The answer's status.
    pub status: Status,
}

impl Failure for Refused {
    fn code(&self) -> Code {
        Code::Refused
    }

    fn hint(&self) -> Option<String> {
        hint(&self.status).map(str::to_owned)
    }
}

/// Returns what to do after a status other than 200.
#[must_use]
pub fn hint(status: &Status) -> Option<&'static str> {
    let reason = Reason::find(status.status_code, status.reason.as_deref().unwrap_or_default())?;
    match reason {
        Reason::NotDeployed => Some("`trackyard versions --available` lists what can be deployed"),
        Reason::UnknownTrack => Some("`trackyard versions` lists the tracks"),
        Reason::NoWorker => {
            Some("`trackyard status` lists the workers; one of that channel must serve the track")
        }
        Reason::NoEntry => Some(
            "add the missing script to the tooling image, executable, then build and deploy a new version",
        ),
        Reason::BadUri => {
            Some("name a bucket or directory that the router's configuration allows under `inputs`")
        }
        Reason::Forbidden => Some("send it from the router's own machine, or with a key that may administer"),
        reason if reason.is_retryable() => Some("the same command again later; the cause may be temporary"),
        _ => None,
    }
}

/// Sends a request and waits for its answer.
///
/// # Errors
/// If there is no answer in time, or the router refuses.
pub fn request(client: &Client, name: &'static str, body: &Value) -> Result<Answer, CommandError> {
    let answer = client.request(body, REQUEST_TIMEOUT)?;
    if answer.status.ok { Ok(answer) } else { Err(Refused { request: name, status: answer.status }.into()) }
}

/// Prints an answer: as JSON if that was asked for, otherwise as the text that `format` returns.
///
/// # Errors
/// If standard output cannot be written.
pub fn print_answer(
    form: &OutputArgs,
    answer: &Answer,
    console: Console,
    format: impl Fn(&Answer) -> String,
) -> Result<Code, CommandError> {
    match form.output {
        Output::Text => console.data(&format(answer))?,
        Output::Json => console.data(&as_json(answer))?,
    }
    Ok(Code::Done)
}

/// Returns an answer as the router sent it, for `--output json`.
#[must_use]
pub fn as_json(answer: &Answer) -> String {
    let mut whole = json!({"status": answer.status, "context": answer.context});
    if !answer.response.is_null()
        && let Some(fields) = whole.as_object_mut()
    {
        fields.insert("response".to_owned(), answer.response.clone());
    }
    format!("{whole:#}")
}

/// Returns the deployed versions of a channel and track, in the router's order.
#[must_use]
pub fn deployed_versions(config: &Value, channel: Channel, track: &str) -> Vec<String> {
    let versions = config.get("container_versions");
    strings(versions.and_then(|channels| channels.get(channel.as_str())).and_then(|tracks| tracks.get(track)))
}

/// Returns the strings of a JSON list.
#[must_use]
pub fn strings(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_entry_script_needs_a_new_image() {
        let status = json!({"ok": false, "status_code": 511, "reason": "no_entry", "message": "m"});
        let hint = hint(&serde_json::from_value(status).unwrap()).unwrap();
        assert!(hint.contains("image") && !hint.contains("later"), "{hint}");
    }
}
