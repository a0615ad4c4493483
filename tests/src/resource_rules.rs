//! The cases of `fixtures/resource_rules.yml`: objects that each break one rule of the resources.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use trackyard_crds::verdict::{Fault, schema};
use trackyard_crds::{GROUP, VERSION};

/// An object that breaks a rule, and the fault that is reported.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleCase {
    /// The object's kind.
    pub kind: String,
    #[serde(default = "default_name")]
    name: String,
    #[serde(default)]
    spec: Map<String, Value>,
    old: Option<Map<String, Value>>,
    status: Option<Value>,
    old_status: Option<Value>,
    field: String,
    message: String,
}

fn default_name() -> String {
    "case".to_owned()
}

/// Returns all cases.
///
/// # Panics
/// When the file of cases cannot be parsed.
#[must_use]
pub fn all() -> Vec<RuleCase> {
    serde_yaml::from_str(include_str!("../fixtures/resource_rules.yml")).expect("the cases")
}

impl RuleCase {
    /// Returns the object that is refused.
    #[must_use]
    pub fn object(&self) -> Value {
        self.with_spec(&self.spec, self.status.as_ref())
    }

    /// Returns the object that is stored before, if an update is refused.
    #[must_use]
    pub fn old(&self) -> Option<Value> {
        let none = Map::new();
        (self.old.is_some() || self.old_status.is_some())
            .then(|| self.with_spec(self.old.as_ref().unwrap_or(&none), self.old_status.as_ref()))
    }

    /// Returns true if the status is refused.
    #[must_use]
    pub fn is_of_status(&self) -> bool {
        self.status.is_some()
    }

    /// Returns the fault that is reported.
    #[must_use]
    pub fn fault(&self) -> Fault {
        Fault { field: self.field.clone(), message: self.message.clone() }
    }

    /// Builds an object from the shortest valid spec with `overrides`; null removes a field.
    fn with_spec(&self, overrides: &Map<String, Value>, status: Option<&Value>) -> Value {
        let mut spec = shortest_spec(&self.kind);
        for (name, value) in overrides {
            spec.insert(name.clone(), value.clone());
        }
        spec.retain(|_, value| !value.is_null());
        let mut object = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"), "kind": self.kind, "metadata": {"name": self.name},
            "spec": spec
        });
        if let (Some(status), Some(fields)) = (status, object.as_object_mut()) {
            fields.insert("status".to_owned(), status.clone());
        }
        object
    }
}

fn shortest_spec(kind: &str) -> Map<String, Value> {
    let version = "git-0123456789abcdef0123456789abcdef01234567";
    let spec = match kind {
        "WorkerPool" => json!({"channel": "test_runners", "topics": ["ruby"]}),
        _ => json!({"channel": "test_runners", "track": "ruby", "version": version}),
    };
    spec.as_object().cloned().unwrap_or_default()
}

/// Returns the messages of all rules of a kind.
#[must_use]
pub fn messages(kind: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(&schema(kind).unwrap_or_default(), &mut found);
    found
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    let rules = value.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten();
    found.extend(rules.filter_map(|rule| rule.get("message")?.as_str().map(ToOwned::to_owned)));
    match value {
        Value::Object(fields) => fields.values().for_each(|field| collect(field, found)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}
