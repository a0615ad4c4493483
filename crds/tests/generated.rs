//! The committed files are up to date with the types, and the fields that they name exist.
#![cfg(test)]

use std::fs;
use std::path::Path;

use serde_json::Value;
use trackyard_crds::generate::{all, definitions};

#[test]
fn committed_files_are_up_to_date() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for file in all().unwrap() {
        let path = top.join(&file.path);
        if std::env::var_os("TRACKYARD_WRITE_DOCS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &file.text).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == file.text, "{} is out of date; `make docs` writes it again", file.path);
    }
}

/// Returns the schema of the field that a path such as `.status.conditions[?(@.type=="Ready")].reason` names.
fn field<'a>(schema: &'a Value, path: &str) -> Option<&'a Value> {
    path.trim_start_matches('.').split('.').filter(|part| !part.starts_with("type==")).try_fold(
        schema,
        |schema, part| match part.split_once('[') {
            Some((list, _)) => schema.pointer(&format!("/properties/{list}/items")),
            None => schema.pointer(&format!("/properties/{part}")),
        },
    )
}

#[test]
fn printer_columns_and_scale_name_real_fields() {
    for definition in definitions() {
        let version = serde_json::to_value(&definition.spec.versions[0]).unwrap();
        let schema = &version["schema"]["openAPIV3Schema"];
        let columns = version["additionalPrinterColumns"].as_array().unwrap().iter();
        let columns = columns.map(|column| column["jsonPath"].as_str().unwrap());
        let scale = version["subresources"]["scale"].as_object().into_iter().flatten();
        let scale = scale.map(|(_, path)| path.as_str().unwrap());
        for path in columns.chain(scale).filter(|path| !path.starts_with(".metadata.")) {
            assert!(field(schema, path).is_some(), "{}: there is no {path}", definition.spec.names.kind);
        }
    }
}

#[test]
fn every_field_has_a_description() {
    fn look(path: &str, schema: &Value, missing: &mut Vec<String>) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            if !["apiVersion", "kind", "metadata"].contains(&name.as_str()) && field["description"].is_null()
            {
                missing.push(path.clone());
            }
            look(&path, field, missing);
        }
    }
    let mut missing = Vec::new();
    for definition in definitions() {
        let version = serde_json::to_value(&definition.spec.versions[0]).unwrap();
        look(&definition.spec.names.kind, &version["schema"]["openAPIV3Schema"], &mut missing);
    }
    assert_eq!(missing, Vec::<String>::new());
}
