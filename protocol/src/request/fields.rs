//! The shape of a request: one JSON object with the fields that its action needs, each of the right type.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Action, Refusal};
use crate::reason::Reason;

/// The known fields, unread; unknown ones are ignored, whatever they hold.
#[derive(Deserialize)]
pub(super) struct Raw<'a> {
    #[serde(borrow)]
    action: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow)]
    track_slug: Option<&'a RawValue>,
    #[serde(borrow)]
    exercise_slug: Option<&'a RawValue>,
    #[serde(borrow)]
    s3_uri: Option<&'a RawValue>,
    #[serde(borrow)]
    container_version: Option<&'a RawValue>,
    #[serde(borrow)]
    execution_timeout: Option<&'a RawValue>,
    #[serde(borrow)]
    deadline_ms: Option<&'a RawValue>,
    #[serde(borrow)]
    fresh: Option<&'a RawValue>,
    #[serde(borrow)]
    git_reference: Option<&'a RawValue>,
    #[serde(borrow)]
    from: Option<&'a RawValue>,
    #[serde(borrow)]
    new_version: Option<&'a RawValue>,
    #[serde(borrow)]
    version: Option<&'a RawValue>,
    #[serde(borrow)]
    versions: Option<&'a RawValue>,
    #[serde(borrow)]
    topics: Option<&'a RawValue>,
}

/// A request whose shape is right and whose values are not checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The action.
    pub action: Action,
    pub(super) id: Option<String>,
    pub(super) channel: Option<String>,
    pub(super) track_slug: Option<String>,
    pub(super) exercise_slug: Option<String>,
    pub(super) s3_uri: Option<String>,
    pub(super) container_version: Option<String>,
    pub(super) execution_timeout: Option<String>,
    pub(super) deadline_ms: Option<String>,
    pub(super) fresh: bool,
    pub(super) git_reference: Option<String>,
    pub(super) from: u64,
    pub(super) versions: Vec<String>,
    pub(super) topics: Vec<String>,
}

impl Shape {
    /// The client's id, not checked yet; every answer echoes it.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Reads the shape of a request.
    ///
    /// # Errors
    /// 502 for what is not one JSON object, lacks a field or has one of the wrong type; 501 for an unknown action.
    /// The second part is the `id`, if the message has a usable one, so that the refusal can be matched to it.
    pub fn read(body: &[u8]) -> Result<Self, (Refusal, Option<String>)> {
        let raw = object(body).map_err(|refusal| (refusal, None))?;
        let id = text(raw.id, "id");
        let known = id.clone().ok().flatten();
        id.and_then(|id| Self::from_raw(&raw, id)).map_err(|refusal| (refusal, known))
    }

    fn from_raw(raw: &Raw<'_>, id: Option<String>) -> Result<Self, Refusal> {
        let action = action(raw)?;
        let present = [
            ("id", raw.id),
            ("channel", raw.channel),
            ("track_slug", raw.track_slug),
            ("exercise_slug", raw.exercise_slug),
            ("s3_uri", raw.s3_uri),
            ("container_version", raw.container_version),
            ("git_reference", raw.git_reference),
            ("new_version", raw.new_version),
            ("version", raw.version),
            ("versions", raw.versions),
        ];
        let given = |name: &&str| present.iter().any(|(n, value)| n == name && !is_null(*value));
        let missing: Vec<&str> = required(action).iter().copied().filter(|name| !given(name)).collect();
        if !missing.is_empty() {
            let message = format!("{action} needs {}", missing.join(", "));
            return Err(Refusal::new(Reason::MissingFields, message));
        }
        let versions = match action {
            Action::DeployContainerVersion => text(raw.new_version, "new_version")?.into_iter().collect(),
            Action::UnloadContainerVersion => text(raw.version, "version")?.into_iter().collect(),
            Action::UpdateContainerVersions => list(raw.versions, "versions")?,
            _ => Vec::new(),
        };
        Ok(Self {
            action,
            id,
            channel: text(raw.channel, "channel")?,
            track_slug: text(raw.track_slug, "track_slug")?,
            exercise_slug: text(raw.exercise_slug, "exercise_slug")?,
            s3_uri: text(raw.s3_uri, "s3_uri")?,
            container_version: text(raw.container_version, "container_version")?,
            execution_timeout: verbatim(raw.execution_timeout),
            deadline_ms: verbatim(raw.deadline_ms),
            fresh: typed(raw.fresh, "fresh", "true or false")?.unwrap_or_default(),
            git_reference: text(raw.git_reference, "git_reference")?,
            from: typed(raw.from, "from", "a whole number")?.unwrap_or_default(),
            versions,
            topics: if action == Action::ConfigureWorker { list(raw.topics, "topics")? } else { Vec::new() },
        })
    }
}

fn object(body: &[u8]) -> Result<Raw<'_>, Refusal> {
    let not_json =
        |why: String| Refusal::new(Reason::NotJson, format!("the message is not one JSON object: {why}"));
    let text =
        std::str::from_utf8(body).map_err(|e| not_json(format!("not UTF-8 at byte {}", e.valid_up_to())))?;
    if !text.trim_start().starts_with('{') {
        return Err(not_json("it does not start with {".to_owned()));
    }
    serde_json::from_str(text).map_err(|e| not_json(e.to_string()))
}

fn action(raw: &Raw<'_>) -> Result<Action, Refusal> {
    let word = text(raw.action, "action")?
        .ok_or_else(|| Refusal::new(Reason::MissingFields, "the field action is missing"))?;
    word.parse().map_err(|_| {
        let short: String = word.chars().take(80).collect();
        Refusal::new(Reason::UnknownAction, format!("there is no action {short:?}"))
    })
}

const JOB: &[&str] = &["id", "track_slug", "exercise_slug", "s3_uri", "container_version"];

fn required(action: Action) -> &'static [&'static str] {
    match action {
        Action::TestSolution | Action::AnalyzeIteration | Action::Represent => JOB,
        Action::BuildContainer | Action::BuildLog => &["channel", "track_slug", "git_reference"],
        Action::DeployContainerVersion => &["channel", "track_slug", "new_version"],
        Action::UnloadContainerVersion => &["channel", "track_slug", "version"],
        Action::UpdateContainerVersions => &["channel", "track_slug", "versions"],
        Action::ListAvailableContainers | Action::DeploymentCheck => &["channel", "track_slug"],
        Action::ConfigureWorker => &["channel"],
        Action::CurrentConfig
        | Action::DescribeWorkers
        | Action::CurrentWorkerStatus
        | Action::RestartWorkers
        | Action::RestartRouter => &[],
    }
}

fn is_null(value: Option<&RawValue>) -> bool {
    value.is_none_or(|v| v.get() == "null")
}

/// The JSON as it stands: numbers are read when values are checked, so that a bad one is 400.
fn verbatim(value: Option<&RawValue>) -> Option<String> {
    value.filter(|_| !is_null(value)).map(|v| v.get().chars().take(80).collect())
}

fn text(value: Option<&RawValue>, field: &str) -> Result<Option<String>, Refusal> {
    typed(value, field, "text")
}

fn list(value: Option<&RawValue>, field: &str) -> Result<Vec<String>, Refusal> {
    Ok(typed(value, field, "a list of texts")?.unwrap_or_default())
}

fn typed<'a, T: Deserialize<'a>>(
    value: Option<&'a RawValue>,
    field: &str,
    expected: &str,
) -> Result<Option<T>, Refusal> {
    let Some(value) = value else { return Ok(None) };
    serde_json::from_str(value.get())
        .map_err(|_| Refusal::new(Reason::BadField, format!("the field {field} must be {expected}")))
}
