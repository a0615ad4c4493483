//! Messages of `trackyard lint` about the structure of an object, manifests of several documents, and foreign kinds. The rules
//! are compared with a real API server in `tests/tests/resources.rs`.
#![cfg(test)]

use rstest::rstest;
use trackyard_crds::verdict::{Fault, Verdict, of_manifest};

const POOL: &str = "apiVersion: trackyard.dev/v1alpha1\nkind: WorkerPool\nmetadata: {name: ruby}\nspec:\n";

fn faults(text: &str) -> Vec<String> {
    match of_manifest(text).unwrap().remove(0) {
        Verdict::Bad(_, faults) => faults.iter().map(Fault::to_string).collect(),
        verdict => panic!("{verdict:?}"),
    }
}

#[test]
fn shortest_objects_are_good() {
    let text = format!(
        "{POOL}  {{channel: test_runners, topics: [ruby]}}\n---\n\
         apiVersion: trackyard.dev/v1alpha1\nkind: ContainerVersion\nmetadata: {{name: a}}\n\
         spec: {{channel: test_runners, track: ruby, gitReference: main}}\n---\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: b}}\n"
    );
    let verdicts = of_manifest(&text).unwrap();
    assert!(
        matches!(&verdicts[..], [Verdict::Good(_), Verdict::Good(_), Verdict::Foreign(_)]),
        "{verdicts:?}"
    );
}

#[rstest]
#[case("  {topics: [ruby]}", "spec: \"channel\" is a required property")]
#[case("  {channel: runners, topics: [ruby]}", "spec.channel: \"runners\" is not one of")]
#[case("  {channel: builders, topics: [ruby], slots: 0}", "spec.slots: 0 is less than the minimum of 1")]
#[case("  {channel: builders, topics: ruby}", "spec.topics: \"ruby\" is not of type \"array\"")]
#[case("  {channel: builders, topics: [a, a]}", "spec.topics: [\"a\",\"a\"] has non-unique elements")]
#[case("  {channel: builders, topics: [a], slot: {cpus: 1}}", "spec.slot: Additional properties")]
#[case(
    "  {channel: builders, topics: [a], template: {tolerations: [{effort: x}]}}",
    "spec.template.tolerations.0: Add"
)]
#[case("  {channel: builders, topics: [a], slot: {cpu: 0.5}}", "spec.slot.cpu: 0.5 is not of types")]
fn wrong_structure_names_the_field(#[case] spec: &str, #[case] said: &str) {
    let faults = faults(&format!("{POOL}{spec}\n"));
    assert!(faults.len() == 1 && faults[0].starts_with(said), "{faults:?}");
}

#[test]
fn missing_name_and_unknown_kind_are_named() {
    let text = format!("{POOL}  {{channel: builders, topics: [a]}}\n");
    assert_eq!(faults(&text.replace("{name: ruby}", "{}")), ["metadata: \"name\" is a required property"]);
    let kind = faults(&text.replace("WorkerPool", "WorkerPond"));
    assert_eq!(kind, ["there is no kind WorkerPond in trackyard.dev/v1alpha1"]);
    let version = faults(&text.replace("v1alpha1", "v2"));
    assert_eq!(version, ["there is no kind WorkerPool in trackyard.dev/v2"]);
}

#[test]
fn invalid_yaml_names_the_line() {
    let error = of_manifest("a: [b\nc: d\n").unwrap_err().to_string();
    assert!(error.contains("line"), "{error}");
}
