//! The files that are generated from the types: for the chart, for editors and for readers.

mod reference;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::verdict::schema;
use crate::{ContainerVersion, VERSION, WorkerPool};

pub use reference::reference;

/// A generated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The path, relative to the top of the repository.
    pub path: String,
    /// The content.
    pub text: String,
}

/// Why a file cannot be generated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be written as YAML.
    #[error("cannot write YAML: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
    /// It cannot be written as JSON.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Returns all generated files.
///
/// # Errors
/// If a resource cannot be written as YAML or JSON.
pub fn all() -> Result<Vec<File>, Error> {
    let mut files = vec![File { path: "docs/resources.md".to_owned(), text: reference(&definitions()) }];
    for definition in definitions() {
        let plural = &definition.spec.names.plural;
        let plain = yaml(&definition)?;
        let template = chart_template(&plain);
        files.push(File { path: format!("charts/trackyard-crds/templates/{plural}.yaml"), text: template });
        files.push(File { path: format!("crds/generated/{plural}.yaml"), text: plain });
        let kind = definition.spec.names.kind.as_str();
        let path = format!("crds/generated/{}-{VERSION}.json", kind.to_lowercase());
        files.push(File { path, text: format!("{:#}\n", json_schema(kind)) });
    }
    Ok(files)
}

/// Returns the CRDs.
#[must_use]
pub fn definitions() -> [CustomResourceDefinition; 2] {
    [WorkerPool::crd(), ContainerVersion::crd()]
}

fn yaml(definition: &CustomResourceDefinition) -> Result<String, Error> {
    // Through JSON, so that fields are in the order in which other tools sort them.
    let value = serde_json::to_value(definition)?;
    Ok(format!(
        "# Generated from the types in crds/src; `make docs` writes it again.\n{}",
        serde_saphyr::to_string(&value)?
    ))
}

/// Returns the CRD as a template with the labels and annotations of the chart. Braces in texts are escaped for Helm.
fn chart_template(plain: &str) -> String {
    let inert = plain.replace("{{", "{{ \"{{\" }}");
    let metadata = "metadata:\n  {{- include \"trackyard-crds.metadata\" . | nindent 2 }}\n";
    inert.replacen("metadata:\n", metadata, 1)
}

/// Returns the JSON schema of a kind, for editors and kubeconform.
fn json_schema(kind: &str) -> Value {
    let mut schema = schema(kind).unwrap_or_default();
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
        fields.insert("title".to_owned(), json!(kind));
    }
    schema
}
