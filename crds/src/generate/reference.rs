//! The reference page of the resources.

use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};

const HEAD: &str = "# Resources\n\nWritten by `make docs` from the types in `crds/src`; `kubectl explain` shows the same \
                    texts.\n`trackyard lint FILE` checks a manifest as the API server would.\n";

/// Returns Markdown with a table of the fields and rules of each kind.
#[must_use]
pub fn reference(definitions: &[CustomResourceDefinition]) -> String {
    let mut text = HEAD.to_owned();
    for definition in definitions {
        section(&mut text, definition);
    }
    text
}

fn section(text: &mut String, definition: &CustomResourceDefinition) {
    let names = &definition.spec.names;
    let schema = definition.spec.versions.first().and_then(|version| version.schema.as_ref());
    let Some(schema) = schema.and_then(|schema| schema.open_api_v3_schema.as_ref()) else { return };
    let short = names.short_names.iter().flatten().next().map(String::as_str).unwrap_or_default();
    let about = schema.description.as_deref().unwrap_or_default();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "\n## {}\n\n`kubectl get {}` or `{short}`. {about}", names.kind, names.plural);
    let mut rules = own_rules("", schema);
    for part in ["spec", "status"] {
        let Some(schema) = property(schema, part) else { continue };
        let _ = writeln!(text, "\n| `{part}` | type | default | |\n| --- | --- | --- | --- |");
        fields(text, &mut rules, part, schema);
        rules.splice(0..0, own_rules(part, schema));
    }
    let _ = writeln!(text, "\n| rule of {} | says |\n| --- | --- |", names.kind);
    for (path, message) in rules {
        let _ = writeln!(text, "| `{path}` | {message} |");
    }
}

fn fields(text: &mut String, rules: &mut Vec<(String, String)>, path: &str, schema: &JSONSchemaProps) {
    let required = schema.required.as_deref().unwrap_or_default();
    for (name, field) in schema.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        let shown = path.split_once('.').map_or(path.as_str(), |(_, rest)| rest);
        let default = match &field.default {
            Some(default) => format!("`{}`", default.0),
            None if required.contains(name) => "required".to_owned(),
            None => String::new(),
        };
        let about = field.description.as_deref().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
        let _ = writeln!(text, "| `{shown}` | {} | {default} | {about} |", kind(field));
        rules.extend(own_rules(&path, field));
        if !is_foreign(&path) {
            fields(text, rules, &path, field);
        }
    }
}

/// Returns whether Kubernetes itself defines and documents the fields below `path`.
fn is_foreign(path: &str) -> bool {
    let foreign =
        ["affinity", "tolerations", "topologySpreadConstraints", "env", "imagePullSecrets", "conditions"];
    foreign.iter().any(|name| path.ends_with(&format!(".{name}")))
}

fn kind(field: &JSONSchemaProps) -> String {
    if field.x_kubernetes_int_or_string == Some(true) {
        return "number or text".to_owned();
    }
    let choices: Vec<String> = field
        .enum_
        .iter()
        .flatten()
        .map(|choice| format!("`{}`", choice.0.as_str().unwrap_or("null")))
        .collect();
    match (field.type_.as_deref(), choices.is_empty()) {
        (Some("array"), _) => "list".to_owned(),
        (Some("string"), true) => "text".to_owned(),
        (Some("integer"), _) => "number".to_owned(),
        (Some(kind), true) => kind.to_owned(),
        _ => choices.join(", "),
    }
}

fn own_rules(path: &str, schema: &JSONSchemaProps) -> Vec<(String, String)> {
    let place = if path.is_empty() { "metadata" } else { path };
    let rules = schema.x_kubernetes_validations.iter().flatten();
    rules.map(|rule| (place.to_owned(), rule.message.clone().unwrap_or_else(|| rule.rule.clone()))).collect()
}

fn property<'a>(schema: &'a JSONSchemaProps, name: &str) -> Option<&'a JSONSchemaProps> {
    schema.properties.as_ref()?.get(name)
}
