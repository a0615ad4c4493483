//! The form of a request: one JSON object with the fields that its action needs, each of the right type.

use std::borrow::Cow;

use serde::Deserialize;

use super::raw::{Raw, Value};
use super::{Action, Refusal};
use crate::reason::Reason;

/// Maximum bytes of an id, for all actions.
const MAX_ID: usize = 128;

/// A request of the right form, whose values are not checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape<'a> {
    /// The action.
    pub action: Action,
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) channel: Option<Cow<'a, str>>,
    pub(super) track_slug: Option<Cow<'a, str>>,
    pub(super) exercise_slug: Option<Cow<'a, str>>,
    pub(super) s3_uri: Option<Cow<'a, str>>,
    pub(super) container_version: Option<Cow<'a, str>>,
    pub(super) execution_timeout: Option<&'a str>,
    pub(super) deadline_ms: Option<&'a str>,
    pub(super) fresh: bool,
    pub(super) git_reference: Option<Cow<'a, str>>,
    pub(super) from: u64,
    pub(super) versions: Vec<String>,
    pub(super) topics: Vec<String>,
}

impl<'a> Shape<'a> {
    /// Returns the client's id, which is not checked yet. Every answer echoes it.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Reads the form of a request.
    ///
    /// # Errors
    /// 502 if `body` is not one JSON object, lacks a field, or has a field of the wrong type; 501 for an unknown action. The
    /// second part is the `id`, if there is a usable one, so that the client can match the refusal to its request.
    pub fn read(body: &'a [u8]) -> Result<Self, (Refusal, Option<String>)> {
        let raw = object(body).map_err(|refusal| (refusal, None))?;
        let known = |refusal| (refusal, id(&raw).ok().flatten().map(Cow::into_owned));
        id(&raw).and_then(|id| Self::from_raw(&raw, id)).map_err(known)
    }

    fn from_raw(raw: &Raw<'a>, id: Option<Cow<'a, str>>) -> Result<Self, Refusal> {
        let action = action(raw)?;
        let missing = || required(action).iter().filter(|field| is_null(field.of(raw)));
        if missing().next().is_some() {
            let names: Vec<&str> = missing().map(<&str>::from).collect();
            let message = format!("{action} needs {}", names.join(", "));
            return Err(Refusal::new(Reason::MissingFields, message));
        }
        let versions = match action {
            Action::DeployContainerVersion => one(raw.new_version, "new_version")?,
            Action::UnloadContainerVersion => one(raw.version, "version")?,
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
    if let Some(raw) = Raw::read_plain(body) {
        return Ok(raw);
    }
    let not_json =
        |why: String| Refusal::new(Reason::NotJson, format!("the message is not one JSON object: {why}"));
    let text =
        std::str::from_utf8(body).map_err(|e| not_json(format!("not UTF-8 at byte {}", e.valid_up_to())))?;
    if !text.trim_start().starts_with('{') {
        return Err(not_json("it does not start with {".to_owned()));
    }
    serde_json::from_str(text).map_err(|e| not_json(e.to_string()))
}

/// Returns the id if it may be echoed. A long one is not worth its memory in the answer.
fn id<'a>(raw: &Raw<'a>) -> Result<Option<Cow<'a, str>>, Refusal> {
    let id = text(raw.id, "id")?;
    match &id {
        Some(long) if long.len() > MAX_ID => Err(Refusal::new(
            Reason::BadId,
            format!("an id has at most {MAX_ID} bytes; this one has {}", long.len()),
        )),
        _ => Ok(id),
    }
}

fn action(raw: &Raw<'_>) -> Result<Action, Refusal> {
    let word = text(raw.action, "action")?
        .ok_or_else(|| Refusal::new(Reason::MissingFields, "the field action is missing"))?;
    word.parse().map_err(|_| {
        let short: String = word.chars().take(80).collect();
        Refusal::new(Reason::UnknownAction, format!("there is no action {short:?}"))
    })
}

/// A field that some actions require.
#[derive(Clone, Copy, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum Field {
    Id,
    Channel,
    TrackSlug,
    ExerciseSlug,
    S3Uri,
    ContainerVersion,
    GitReference,
    NewVersion,
    Version,
    Versions,
}

impl Field {
    const fn of<'a>(self, raw: &Raw<'a>) -> Option<Value<'a>> {
        match self {
            Self::Id => raw.id,
            Self::Channel => raw.channel,
            Self::TrackSlug => raw.track_slug,
            Self::ExerciseSlug => raw.exercise_slug,
            Self::S3Uri => raw.s3_uri,
            Self::ContainerVersion => raw.container_version,
            Self::GitReference => raw.git_reference,
            Self::NewVersion => raw.new_version,
            Self::Version => raw.version,
            Self::Versions => raw.versions,
        }
    }
}

fn required(action: Action) -> &'static [Field] {
    use Field::{
        Channel, ContainerVersion, ExerciseSlug, GitReference, Id, NewVersion, S3Uri, TrackSlug, Version,
        Versions,
    };
    match action {
        Action::TestSolution | Action::AnalyzeIteration | Action::Represent => {
            &[Id, TrackSlug, ExerciseSlug, S3Uri, ContainerVersion]
        }
        Action::BuildContainer | Action::BuildLog => &[Channel, TrackSlug, GitReference],
        Action::DeployContainerVersion => &[Channel, TrackSlug, NewVersion],
        Action::UnloadContainerVersion => &[Channel, TrackSlug, Version],
        Action::UpdateContainerVersions => &[Channel, TrackSlug, Versions],
        Action::ListAvailableContainers | Action::DeploymentCheck => &[Channel, TrackSlug],
        Action::ConfigureWorker => &[Channel],
        Action::CurrentConfig
        | Action::DescribeWorkers
        | Action::CurrentWorkerStatus
        | Action::RestartWorkers
        | Action::RestartRouter => &[],
    }
}

fn is_null(value: Option<Value<'_>>) -> bool {
    value.is_none_or(|value| value.json == "null")
}

/// Returns the JSON as it is written. Numbers are parsed when the values are checked, so that a bad one is 400.
fn verbatim(value: Option<Value<'_>>) -> Option<&str> {
    value.filter(|_| !is_null(value)).map(|value| value.json)
}

/// Returns a string; borrowed from the message if it has no escapes.
fn text<'a>(value: Option<Value<'a>>, field: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
    match value.and_then(|value| value.plain) {
        Some(plain) => Ok(Some(Cow::Borrowed(plain))),
        None => Ok(typed::<String>(value, field, "text")?.map(Cow::Owned)),
    }
}

fn one(value: Option<Value<'_>>, field: &str) -> Result<Vec<String>, Refusal> {
    Ok(text(value, field)?.map(Cow::into_owned).into_iter().collect())
}

fn list(value: Option<Value<'_>>, field: &str) -> Result<Vec<String>, Refusal> {
    Ok(typed(value, field, "a list of texts")?.unwrap_or_default())
}

fn typed<'a, T: Deserialize<'a>>(
    value: Option<Value<'a>>,
    field: &str,
    expected: &str,
) -> Result<Option<T>, Refusal> {
    let Some(value) = value else { return Ok(None) };
    serde_json::from_str(value.json)
        .map_err(|_| Refusal::new(Reason::BadField, format!("the field {field} must be {expected}")))
}
