//! Writes JSON schemas for kubeconform of all kinds that the charts use: those of Kubernetes as the API server describes
//! them, those of the project as they are generated. Nothing is downloaded.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::control_plane::ControlPlane;

/// The API groups that the charts use.
const GROUPS: [&str; 8] = [
    "api/v1",
    "apis/apiextensions.k8s.io/v1",
    "apis/apps/v1",
    "apis/coordination.k8s.io/v1",
    "apis/networking.k8s.io/v1",
    "apis/policy/v1",
    "apis/rbac.authorization.k8s.io/v1",
    "apis/scheduling.k8s.io/v1",
];

/// A directory of schemas that refuse unknown fields.
pub struct Schemas {
    dir: TempDir,
}

impl Schemas {
    /// Writes the schemas.
    ///
    /// # Panics
    /// When the API server does not describe its kinds, or the generated schemas are missing.
    #[must_use]
    pub fn of(plane: &ControlPlane) -> Self {
        let schemas = Self { dir: TempDir::new().expect("a directory for schemas") };
        for group in GROUPS {
            let (code, mut document) =
                plane.send(&Method::GET, &format!("/openapi/v3/{group}"), &Value::Null);
            assert_eq!(code, 200, "{group}: {document}");
            close(&mut document);
            let file = group.replace('/', "-");
            schemas.write(&file, &document);
            schemas.write_kinds(&file, &document);
        }
        for file in
            fs::read_dir(generated()).expect("the generated schemas").flatten().map(|file| file.path())
        {
            if file.extension().is_some_and(|kind| kind == "json") {
                let text = fs::read(&file).expect("a generated schema");
                let mut schema: Value = serde_json::from_slice(&text).expect("a schema in JSON");
                with_metadata(&mut schema);
                close(&mut schema);
                let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
                let (kind, version) = name.split_once('-').expect("<kind>-<version>.json");
                schemas.write(&format!("{kind}-trackyard.dev-{version}"), &schema);
            }
        }
        schemas
    }

    /// Returns the template of the schemas' paths, for kubeconform.
    #[must_use]
    pub fn location(&self) -> String {
        let dir = self.dir.path().display();
        format!("{dir}/{{{{.ResourceKind}}}}-{{{{.Group}}}}-{{{{.ResourceAPIVersion}}}}.json")
    }

    /// Writes one file for each kind that a group's document describes.
    fn write_kinds(&self, file: &str, document: &Value) {
        let all = document.pointer("/components/schemas").and_then(Value::as_object);
        for (name, schema) in all.expect("the schemas of a group") {
            let kinds = schema.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
            // Schemas of several kinds are the options of requests.
            let Some([kind]) = kinds.map(Vec::as_slice) else { continue };
            let text = |field: &str| kind.get(field).and_then(Value::as_str).unwrap_or_default();
            let kind = text("kind").to_lowercase();
            // Kubeconform uses the version as the group of the core group.
            let group = if text("group").is_empty() { text("version") } else { text("group") };
            let schema = json!({"$ref": format!("{file}.json#/components/schemas/{name}")});
            self.write(&format!("{kind}-{group}-{}", text("version")), &schema);
        }
    }

    fn write(&self, name: &str, schema: &Value) {
        let file = self.dir.path().join(format!("{name}.json"));
        fs::write(file, schema.to_string()).expect("write a schema");
    }
}

fn generated() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/generated")
}

/// Adds the fields that every object has and a CRD's schema leaves out.
fn with_metadata(schema: &mut Value) {
    if let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, kind) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")] {
            fields.entry(name).or_insert_with(|| json!({"type": kind}));
        }
    }
}

/// Forbids fields that a schema does not name.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(close);
            if is_open(fields) {
                fields.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
        }
        Value::Array(all) => all.iter_mut().for_each(close),
        _ => {}
    }
}

fn is_open(schema: &Map<String, Value>) -> bool {
    // `properties` may also be the name of a field.
    let names_fields =
        schema.get("type").is_some_and(|kind| kind == "object") && schema.contains_key("properties");
    names_fields
        && !schema.contains_key("additionalProperties")
        && !schema.contains_key("x-kubernetes-preserve-unknown-fields")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_object_refuses_unknown_fields() {
        let mut schema = json!({"type": "object", "properties": {
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "spec": {"type": "object", "properties": {"properties": {"type": "string"}}},
            "any": {"type": "object", "properties": {}, "x-kubernetes-preserve-unknown-fields": true},
        }});
        close(&mut schema);
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["spec"]["additionalProperties"], false);
        assert_eq!(schema["properties"]["labels"]["additionalProperties"], json!({"type": "string"}));
        assert!(schema["properties"]["any"].get("additionalProperties").is_none());
        assert!(schema["properties"].get("additionalProperties").is_none());
    }
}
