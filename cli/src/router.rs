//! Asking the router.

use std::time::Duration;

use serde_json::{Value, json};
use trackyard_protocol::answer::{Answer, Status};
use trackyard_protocol::channel::Channel;
use trackyard_protocol::client::Client;
use trackyard_protocol::reason::Reason;

use crate::console::harmless;
use crate::error::Error;

/// How long the router may take for anything but a job.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The router answered with an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{asked}: {} {}: {}", .status.status_code, .status.reason.as_deref().map_or("-".to_owned(), harmless), harmless(&.status.message))]
pub struct Refused {
    /// What was asked for.
    pub asked: &'static str,
    /// The answer's status.
    pub status: Status,
}

impl Refused {
    /// What to type next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        hint(&self.status).map(str::to_owned)
    }
}

/// What to do after a status that is not 200.
#[must_use]
pub fn hint(status: &Status) -> Option<&'static str> {
    let reason = Reason::find(status.status_code, status.reason.as_deref().unwrap_or_default())?;
    match reason {
        Reason::NotDeployed => Some("`trackyard versions --available` lists what can be deployed"),
        Reason::UnknownTrack => Some("`trackyard versions` lists the tracks"),
        Reason::NoWorker => {
            Some("`trackyard status` lists the workers; one of that channel must serve the track")
        }
        Reason::BadUri => Some(
            "only the buckets and directories that the router's configuration allows (`inputs`) are read",
        ),
        Reason::Forbidden => Some("ask from the router's own machine, or with a key that may administer"),
        reason if reason.is_retryable() => Some("the same again later: this may pass"),
        _ => None,
    }
}

/// Asks and wants a 200.
///
/// # Errors
/// If there is no answer, or another one.
pub fn ask(client: &Client, asked: &'static str, request: &Value) -> Result<Answer, Error> {
    let answer = client.request(request, PATIENCE)?;
    if answer.status.ok { Ok(answer) } else { Err(Refused { asked, status: answer.status }.into()) }
}

/// An answer as it came, for `--output json`.
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

/// The deployed versions of a place, in the router's order.
#[must_use]
pub fn deployed(config: &Value, channel: Channel, track: &str) -> Vec<String> {
    let list =
        config.get("container_versions").and_then(|c| c.get(channel.as_str())).and_then(|c| c.get(track));
    texts(list)
}

/// The texts of a JSON list.
#[must_use]
pub fn texts(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}
