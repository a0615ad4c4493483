//! The charts: what they render, and their installation, upgrade and removal on a real cluster.
#![cfg(test)]

use std::path::Path;
use std::process::{Command, Output};

use e2e::cluster::{Cluster, program};
use e2e::control_plane::ControlPlane;
use e2e::schemas::Schemas;
use e2e::wait::{seconds, wait_until};

fn chart(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts").join(name);
    path.canonicalize().unwrap().display().to_string()
}

fn helm(args: &[&str]) -> Output {
    Command::new(program("helm")).args(args).output().unwrap()
}

/// Renders the chart `trackyard` as if the CRDs were installed.
fn render(args: &[&str]) -> Output {
    let chart = chart("trackyard");
    let known = ["--namespace", "ty", "--api-versions", "trackyard.dev/v1alpha1/WorkerPool"];
    helm(&[&["template", "trackyard", &chart][..], &known, args].concat())
}

fn scenarios() -> Vec<(String, String)> {
    let dir = std::fs::read_dir(Path::new(&chart("trackyard")).join("ci")).unwrap();
    let named = |entry: std::fs::DirEntry| {
        let path = entry.path();
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), path.display().to_string())
    };
    dir.map(|entry| named(entry.unwrap())).collect()
}

#[test]
fn scenarios_render_deterministically() {
    for (name, values) in scenarios() {
        let lint =
            helm(&["lint", "--strict", &chart("trackyard"), "-f", &values, "--set", "checkCRDs=false"]);
        assert!(lint.status.success(), "{name}: {}", String::from_utf8_lossy(&lint.stdout));
        let once = render(&["-f", &values]);
        assert!(once.status.success(), "{name}: {}", String::from_utf8_lossy(&once.stderr));
        assert_eq!(once.stdout, render(&["-f", &values]).stdout, "{name} is not deterministic");
        insta::assert_snapshot!(name, String::from_utf8(once.stdout).unwrap());
    }
}

/// Checks a manifest with kubeconform. Returns whether it is valid, and the output.
fn conforms(schemas: &Schemas, manifest: &[u8]) -> (bool, String) {
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(file.path(), manifest).unwrap();
    let mut command = Command::new(program("kubeconform"));
    command.args(["-strict", "-verbose", "-output", "json", "-schema-location", &schemas.location()]);
    let output = command.arg(file.path()).output().unwrap();
    let message = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&message).into_owned())
}

/// Checks a manifest with a dry run on the API server. Returns whether it is accepted, and the output.
fn accepted(plane: &ControlPlane, manifest: &[u8]) -> (bool, String) {
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(file.path(), manifest).unwrap();
    let apply = ["apply", "--dry-run=server", "--validate=strict", "-f", file.path().to_str().unwrap()];
    let output = plane.kubectl(&apply);
    let message = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&message).into_owned())
}

#[test]
fn rendered_manifests_and_samples_are_valid() {
    let plane = ControlPlane::start();
    let schemas = Schemas::of(&plane);
    let kinds = rendered(&[]).into_bytes();
    let (good, message) = conforms(&schemas, &kinds);
    assert!(good, "{message}");
    let mut manifests = Vec::new();
    for (name, values) in scenarios() {
        manifests.push((name, render(&["-f", &values]).stdout));
    }
    for sample in std::fs::read_dir(Path::new(&chart("trackyard")).join("samples")).unwrap() {
        let path = sample.unwrap().path();
        manifests.push((path.display().to_string(), std::fs::read(path).unwrap()));
    }
    // Install the CRDs, and create the namespaces of the manifests.
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(file.path(), &kinds).unwrap();
    assert!(plane.kubectl(&["apply", "-f", file.path().to_str().unwrap()]).status.success());
    let wait = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=20s"];
    assert!(plane.kubectl(&wait).status.success());
    for namespace in ["ty", "ty-workers", "tracks"] {
        assert!(plane.kubectl(&["create", "namespace", namespace]).status.success());
    }
    for (name, manifest) in &manifests {
        let (good, message) = conforms(&schemas, manifest);
        assert!(good, "{name}: {message}");
        let (good, message) = accepted(&plane, manifest);
        assert!(good, "{name}: {message}");
    }
    // An unknown field is refused, in Kubernetes' kinds and in the project's.
    for (right, wrong) in [("replicas: 1", "replicaz: 1"), ("channel: test_runners", "chanel: test_runners")]
    {
        let named = |text: &str| text.contains(right);
        let texts = manifests.iter().map(|(_, manifest)| String::from_utf8_lossy(manifest).into_owned());
        let broken = texts.into_iter().find(|text| named(text)).unwrap().replace(right, wrong);
        let field = wrong.split(':').next().unwrap();
        let (good, message) = conforms(&schemas, broken.as_bytes());
        assert!(!good && message.contains(field), "{wrong}: {message}");
        let (good, message) = accepted(&plane, broken.as_bytes());
        assert!(!good && message.contains(field), "{wrong}: {message}");
    }
}

#[test]
fn missing_crds_name_their_chart() {
    let output = helm(&["template", "trackyard", &chart("trackyard")]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && message.contains("install the chart trackyard-crds first"),
        "{message}"
    );
}

#[test]
fn invalid_values_are_refused_by_name() {
    for (value, named) in [
        ("router.clientAcces=submit", "clientAcces"),
        ("router.clientAccess=all", "clientAccess"),
        ("operator.replicas=many", "replicas"),
        ("workerNamespace.name=Not_A_Name", "workerNamespace"),
        ("router.image.digest=latest", "digest"),
    ] {
        let output = render(&["--set", value]);
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && message.contains(named), "{value}: {message}");
    }
}

fn rendered(args: &[&str]) -> String {
    let chart = chart("trackyard-crds");
    let output = helm(&[&["template", "trackyard-crds", &chart][..], args].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn helm_lint_passes() {
    let output = helm(&["lint", "--strict", &chart("trackyard-crds")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn crds_are_kept_by_default() {
    let kept = rendered(&[]);
    assert_eq!(kept.matches("kind: CustomResourceDefinition").count(), 2);
    assert_eq!(kept.matches("helm.sh/resource-policy: keep").count(), 2);
    assert_eq!(kept, rendered(&[]), "rendering is not deterministic");
    assert!(!rendered(&["--set", "keep=false"]).contains("resource-policy"));
    let labelled = rendered(&["--set", "labels.team=tracks,annotations.note=x"]);
    assert_eq!((labelled.matches("team: tracks").count(), labelled.matches("note: x").count()), (2, 2));
}

#[test]
fn unknown_crds_value_is_refused_by_name() {
    let output = helm(&["template", &chart("trackyard-crds"), "--set", "kep=true"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && message.contains("kep"), "{message}");
}

#[test]
fn crds_outlive_their_chart() {
    let cluster = Cluster::start();
    let chart = chart("trackyard-crds");
    let installed = cluster.helm(&["install", "trackyard-crds", &chart, "--wait"]);
    assert!(installed.contains("kubectl explain workerpool.spec"), "{installed}");
    let names = ["get", "crd", "-o", "name"];
    let kinds = "customresourcedefinition.apiextensions.k8s.io/containerversions.trackyard.dev\n\
                 customresourcedefinition.apiextensions.k8s.io/workerpools.trackyard.dev\n";
    assert_eq!(cluster.kubectl(&names), kinds);
    wait_until(seconds(30), "the CRDs are explained", || {
        let explained = cluster.try_kubectl(&["explain", "workerpool.spec.slots"]);
        explained.is_some_and(|text| text.contains("Jobs that one pod runs at a time."))
    });
    let _ = cluster.helm(&["upgrade", "trackyard-crds", &chart, "--set", "labels.team=tracks"]);
    assert_eq!(cluster.kubectl(&["get", "crd", "-l", "team=tracks", "-o", "name"]), kinds);
    let _ = cluster.helm(&["uninstall", "trackyard-crds"]);
    assert_eq!(cluster.kubectl(&names), kinds, "uninstalling removed the CRDs");
    // Another installation takes the CRDs over.
    let _ = cluster.helm(&["install", "trackyard-crds", &chart, "--set", "keep=false", "--take-ownership"]);
    let _ = cluster.helm(&["uninstall", "trackyard-crds"]);
    wait_until(seconds(30), "the CRDs are gone", || cluster.kubectl(&names).is_empty());
}
