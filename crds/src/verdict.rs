//! Checks an object as the API server would: first by the schema, then by its rules.

mod structure;

use std::fmt;

use kube::CustomResourceExt;
use kube::core::cel::Validator;
use serde_json::Value;

use crate::{ContainerVersion, GROUP, VERSION, WorkerPool};

/// A mistake in an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The field, such as `spec.slots`; empty for the object itself.
    pub field: String,
    /// What is wrong. For a rule, the message is that of the API server.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.field, self.message)
        }
    }
}

/// Identifies an object of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The kind, such as `WorkerPool`.
    pub kind: String,
    /// `metadata.name`; `?` if the object has none.
    pub name: String,
}

/// The result of checking an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The API server would accept the object.
    Good(Name),
    /// The API server would refuse the object.
    Bad(Name, Vec<Fault>),
    /// The object is not of one of Trackyard's kinds, and is not checked.
    Foreign(Name),
}

/// Why a file is not a manifest.
#[derive(Debug, thiserror::Error)]
#[error("it is not YAML: {0}")]
pub struct Error(Box<serde_saphyr::Error>);

/// Checks all objects of a manifest, which may hold several documents and lists.
///
/// # Errors
/// If the text is not YAML.
pub fn of_manifest(text: &str) -> Result<Vec<Verdict>, Error> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| Error(Box::new(error)))?;
    Ok(documents.iter().filter(|document| !document.is_null()).flat_map(of_document).collect())
}

fn of_document(document: &Value) -> Vec<Verdict> {
    match (text(document, "/kind"), document.get("items").and_then(Value::as_array)) {
        (Some("List"), Some(items)) => items.iter().flat_map(of_document).collect(),
        _ => vec![of_object(document, None)],
    }
}

/// Checks one object. `old` is the stored object that it would replace.
#[must_use]
pub fn of_object(object: &Value, old: Option<&Value>) -> Verdict {
    let or_unknown = |pointer| text(object, pointer).unwrap_or("?").to_owned();
    let name = Name { kind: or_unknown("/kind"), name: or_unknown("/metadata/name") };
    let api = text(object, "/apiVersion").unwrap_or_default();
    if api.split('/').next() != Some(GROUP) {
        return Verdict::Foreign(name);
    }
    let found = match schema(&name.kind) {
        Some(schema) if api == format!("{GROUP}/{VERSION}") => faults(&schema, object, old),
        _ => {
            vec![Fault { field: String::new(), message: format!("there is no kind {} in {api}", name.kind) }]
        }
    };
    if found.is_empty() { Verdict::Good(name) } else { Verdict::Bad(name, found) }
}

/// Returns the schema of one of Trackyard's kinds, as the API server has it.
#[must_use]
pub fn schema(kind: &str) -> Option<Value> {
    let crd = match kind {
        "WorkerPool" => WorkerPool::crd(),
        "ContainerVersion" => ContainerVersion::crd(),
        _ => return None,
    };
    let version = crd.spec.versions.into_iter().next()?;
    serde_json::to_value(version.schema?.open_api_v3_schema?).ok()
}

/// Returns the mistakes of an object. Like the API server, it checks the rules only if the structure is right.
fn faults(schema: &Value, object: &Value, old: Option<&Value>) -> Vec<Fault> {
    let structure = structure::faults(schema, object);
    if !structure.is_empty() {
        return structure;
    }
    let Err(errors) = Validator::new().validate_with_defaults(schema, object, old) else { return Vec::new() };
    let fault = |error: &kube::core::cel::ValidationError| Fault {
        field: error.field_path.clone(),
        message: error.message.clone(),
    };
    errors.as_slice().iter().map(fault).collect()
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}
