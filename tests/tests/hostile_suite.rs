//! Checks that the tests named in the security documents exist.
#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};

use rstest::rstest;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns every Rust file of the project with its text.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut dirs: Vec<PathBuf> =
        ["builder", "images", "operator", "protocol", "router", "tests", "worker-agent"]
            .map(|name| root().join(name))
            .into();
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// Returns the tests that a document names as `` `file.rs: name` ``.
fn named(document: &str) -> Vec<(&str, &str)> {
    let quoted = document.split('`').skip(1).step_by(2);
    quoted.filter_map(|text| text.split_once(": ")).filter(|(file, _)| file.ends_with(".rs")).collect()
}

#[rstest]
#[case::suite("hostile-suite.md", 60)]
#[case::model("threat-model.md", 50)]
fn every_test_named_in_a_document_exists(#[case] document: &str, #[case] least: usize) {
    let text = fs::read_to_string(root().join("docs").join(document)).unwrap();
    let named = named(&text);
    let sources = sources();
    assert!(named.len() >= least, "{} names only", named.len());
    let exists = |file: &str, name: &str| {
        let end = format!("/{file}");
        let texts = sources.iter().filter(|(path, _)| path.ends_with(&end)).map(|(_, text)| text);
        texts
            .into_iter()
            .any(|text| text.contains(&format!("fn {name}(")) || text.contains(&format!("(\"{name}\", ")))
    };
    let missing: Vec<_> = named.iter().filter(|(file, name)| !exists(file, name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
