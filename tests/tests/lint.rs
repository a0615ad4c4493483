//! Runs `trackyard lint` as a user would.
#![cfg(test)]

use std::fs;
use std::process::{Command, Output};

use e2e::binaries::binary;
use tempfile::TempDir;

const GOOD: &str = "apiVersion: trackyard.dev/v1alpha1
kind: WorkerPool
metadata: {name: ruby}
spec: {channel: test_runners, topics: [ruby]}
";

fn lint(manifest: &str) -> Output {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("pool.yaml"), manifest).unwrap();
    Command::new(binary("trackyard")).args(["lint", "pool.yaml"]).current_dir(dir.path()).output().unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn good_manifest_passes() {
    let output = lint(&format!("{GOOD}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: keys}}\n"));
    assert_eq!(output.status.code(), Some(0));
    let expected = "pool.yaml: WorkerPool/ruby: good\npool.yaml: Secret/keys: not a resource of Trackyard\n";
    assert_eq!(printed(&output), expected);
}

#[test]
fn each_fault_is_listed_with_exit_code_8() {
    let output = lint(&GOOD.replace("[ruby]}", "[Ruby], slots: 2, slot: {memory: 3GB}}"));
    assert_eq!(output.status.code(), Some(8));
    let lines = printed(&output);
    let faults: Vec<&str> = lines.lines().collect();
    assert!(
        faults.len() == 2 && faults.iter().all(|line| line.starts_with("pool.yaml: WorkerPool/ruby: spec."))
    );
    assert!(lines.contains("spec.topics: a topic is * or a track's slug"), "{lines}");
    assert!(lines.contains("spec.slot.memory: a size is a whole number"), "{lines}");
}

#[test]
fn unreadable_manifest_is_a_usage_error() {
    let output = lint("a: [b\n");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("pool.yaml is not a manifest"));
    let output = Command::new(binary("trackyard")).args(["lint", "/nonexistent"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
