//! Objects that break one rule of the resources each.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use trackyard_crds::verdict::{Fault, schema};
use trackyard_crds::{GROUP, VERSION};

/// One object, and what is said of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Its kind.
    pub kind: String,
    #[serde(default = "any_name")]
    name: String,
    #[serde(default)]
    spec: Map<String, Value>,
    old: Option<Map<String, Value>>,
    status: Option<Value>,
    old_status: Option<Value>,
    field: String,
    message: String,
}

fn any_name() -> String {
    "case".to_owned()
}

/// All cases.
///
/// # Panics
/// When the file of cases is damaged.
#[must_use]
pub fn all() -> Vec<Case> {
    serde_yaml::from_str(include_str!("../fixtures/resource_rules.yml")).expect("the cases")
}

impl Case {
    /// The object that is refused.
    #[must_use]
    pub fn object(&self) -> Value {
        self.of(&self.spec, self.status.as_ref())
    }

    /// The object that is stored before, if it is an update that is refused.
    #[must_use]
    pub fn old(&self) -> Option<Value> {
        let none = Map::new();
        (self.old.is_some() || self.old_status.is_some())
            .then(|| self.of(self.old.as_ref().unwrap_or(&none), self.old_status.as_ref()))
    }

    /// True if it is the status that is refused.
    #[must_use]
    pub fn is_of_status(&self) -> bool {
        self.status.is_some()
    }

    /// What is said.
    #[must_use]
    pub fn fault(&self) -> Fault {
        Fault { field: self.field.clone(), message: self.message.clone() }
    }

    fn of(&self, over: &Map<String, Value>, status: Option<&Value>) -> Value {
        let mut spec = shortest(&self.kind);
        for (name, value) in over {
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

fn shortest(kind: &str) -> Map<String, Value> {
    let version = "git-0123456789abcdef0123456789abcdef01234567";
    let spec = match kind {
        "WorkerPool" => json!({"channel": "test_runners", "topics": ["ruby"]}),
        _ => json!({"channel": "test_runners", "track": "ruby", "version": version}),
    };
    spec.as_object().cloned().unwrap_or_default()
}

/// The messages of all rules of a kind.
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
