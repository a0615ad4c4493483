//! Checks types, required and unknown fields, and ranges: all of a schema but its rules.

use serde_json::{Value, json};

use super::Fault;

pub(super) fn faults(schema: &Value, object: &Value) -> Vec<Fault> {
    let mut schema = schema.clone();
    named(&mut schema);
    strict(&mut schema);
    match jsonschema::draft7::new(&schema) {
        Ok(validator) => validator.iter_errors(object).map(|error| fault(&error)).collect(),
        Err(error) => vec![Fault { field: String::new(), message: error.to_string() }],
    }
}

fn fault(error: &jsonschema::ValidationError<'_>) -> Fault {
    let path = error.instance_path().to_string();
    Fault { field: path.trim_start_matches('/').replace('/', "."), message: error.to_string() }
}

/// Adds the fields that every object has, which a derived schema lacks.
fn named(schema: &mut Value) {
    let metadata = json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}},
                          "additionalProperties": true});
    if let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        fields.insert("metadata".to_owned(), metadata);
        for name in ["apiVersion", "kind"] {
            fields.insert(name.to_owned(), json!({"type": "string"}));
        }
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.push("metadata".into());
    }
}

/// Makes a schema as strict as the API server: unknown fields are errors. Translates its extensions for null, and for a number or
/// text.
fn strict(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
        fields.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    if fields.remove("x-kubernetes-int-or-string").is_some() {
        fields.insert("type".to_owned(), json!(["integer", "string"]));
    }
    if fields.get("nullable") == Some(&Value::Bool(true))
        && let Some(Value::String(kind)) = fields.get("type").cloned()
    {
        fields.insert("type".to_owned(), json!([kind, "null"]));
    }
    if fields.get("x-kubernetes-list-type").is_some_and(|kind| kind == "set") {
        fields.insert("uniqueItems".to_owned(), Value::Bool(true));
    }
    for keyword in ["items", "additionalProperties"] {
        fields.get_mut(keyword).into_iter().for_each(strict);
    }
    let properties = fields.get_mut("properties").and_then(Value::as_object_mut);
    properties.into_iter().flat_map(|properties| properties.values_mut()).for_each(strict);
}
