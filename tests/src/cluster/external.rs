//! An existing cluster: kind, EKS, or one of `make cluster-up`. A test uses it exclusively, and removes what it created.
//!
//! | variable | value |
//! | --- | --- |
//! | `TRACKYARD_E2E_KUBECONFIG` | the kubeconfig of the cluster's administrator |
//! | `TRACKYARD_E2E_REGISTRY` | a registry to which this machine pushes images and from which the nodes pull; `http://` in front: without TLS |
//! | `TRACKYARD_E2E_ADDRESS` | an address of this machine that the pods reach, for S3 and a registry of the test |

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::program;
use crate::binaries::system;

/// The remedy if a test needs a local cluster.
pub(super) const NEEDS_LOCAL: &str =
    "it needs a cluster of its own; unset TRACKYARD_E2E_KUBECONFIG to run it";

const CRDS: [&str; 2] = ["workerpools.trackyard.dev", "containerversions.trackyard.dev"];

/// Returns the kubeconfig of the external cluster, if one is configured.
pub(super) fn kubeconfig() -> Option<PathBuf> {
    std::env::var_os("TRACKYARD_E2E_KUBECONFIG").map(PathBuf::from)
}

/// Returns the address of this machine that the pods reach.
pub(super) fn address() -> String {
    required("TRACKYARD_E2E_ADDRESS", "an address of this machine that the cluster's pods reach")
}

/// A registry for images.
pub(super) struct ImageRegistry {
    /// The prefix of image names.
    pub(super) location: String,
    plain: bool,
}

pub(super) fn registry() -> ImageRegistry {
    let text = required(
        "TRACKYARD_E2E_REGISTRY",
        "a registry to which this machine may push, and the nodes pull from",
    );
    let plain = text.strip_prefix("http://");
    ImageRegistry { location: plain.unwrap_or(&text).to_owned(), plain: plain.is_some() }
}

fn required(name: &str, what: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set; with TRACKYARD_E2E_KUBECONFIG it must name {what}"))
}

/// The external cluster, locked for one test.
pub(super) struct ExternalCluster {
    kubeconfig: PathBuf,
    namespaces: Mutex<Vec<String>>,
    _lock: File,
}

impl ExternalCluster {
    /// Waits until no other test uses the cluster, and pushes the images.
    pub(super) fn take(kubeconfig: PathBuf, images: &[PathBuf]) -> Self {
        let lock = File::create(std::env::temp_dir().join("trackyard-e2e.lock")).expect("a file for a lock");
        lock.lock().expect("the cluster for this test alone");
        let cluster = Self { kubeconfig, namespaces: Mutex::default(), _lock: lock };
        let crds = cluster.kubectl(&["get", "crd", "--ignore-not-found", "-o=name", CRDS[0], CRDS[1]]);
        let crds = crds.unwrap_or_else(|error| panic!("the cluster does not answer: {error}"));
        assert!(crds.is_empty(), "{crds} exists already, and tests would remove it; use another cluster");
        for image in images {
            push(image);
        }
        cluster
    }

    pub(super) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Makes a namespace be removed with this value.
    pub(super) fn remove_on_drop(&self, namespace: &str) {
        self.namespaces.lock().unwrap_or_else(PoisonError::into_inner).push(namespace.to_owned());
    }

    fn kubectl(&self, args: &[&str]) -> Result<String, String> {
        self.run(program("kube"), &[&["kubectl"][..], args].concat())
    }

    fn run(&self, program: PathBuf, args: &[&str]) -> Result<String, String> {
        let mut command = Command::new(program);
        command.args(args).env("KUBECONFIG", &self.kubeconfig).stdin(Stdio::null());
        super::text(&command.output().expect("run a program of the cluster"))
    }
}

impl Drop for ExternalCluster {
    /// Failures are ignored: the test may have removed an object, and the next test finds what is left.
    fn drop(&mut self) {
        let mut namespaces =
            std::mem::take(&mut *self.namespaces.lock().unwrap_or_else(PoisonError::into_inner));
        for namespace in &namespaces {
            let releases = self.run(program("helm"), &["list", "--short", "--namespace", namespace]);
            for release in releases.unwrap_or_default().lines() {
                let _ =
                    self.run(program("helm"), &["uninstall", release, "--namespace", namespace, "--wait"]);
            }
        }
        let _ = self.run(program("helm"), &["uninstall", "trackyard-crds"]);
        let delete = ["delete", "--ignore-not-found", "--timeout=120s"];
        let _ = self.kubectl(&[&delete[..], &["crd"], &CRDS].concat());
        namespaces.insert(0, "namespace".to_owned());
        let namespaces: Vec<&str> = namespaces.iter().map(String::as_str).collect();
        if namespaces.len() > 1 {
            let _ = self.kubectl(&[&delete[..], &namespaces].concat());
        }
    }
}

/// Pushes an image to the registry, under its own name without the host.
fn push(archive: &Path) {
    let registry = registry();
    let name = image_name(archive);
    let mut skopeo = Command::new(system("skopeo", "skopeo"));
    skopeo.args(["copy", "--quiet", &format!("--dest-tls-verify={}", !registry.plain)]);
    skopeo.arg(format!("docker-archive:{}", archive.display()));
    let output = skopeo.arg(format!("docker://{}/{name}", registry.location)).output().expect("run skopeo");
    assert!(output.status.success(), "skopeo: {}", String::from_utf8_lossy(&output.stderr));
}

/// Returns `name:tag` of the image in an archive.
fn image_name(archive: &Path) -> String {
    let mut tar = tar::Archive::new(File::open(archive).expect("an image"));
    let mut entries = tar.entries().expect("an image's files").flatten();
    let manifest = entries.find(|entry| entry.path().is_ok_and(|path| path.ends_with("manifest.json")));
    let manifest: serde_json::Value =
        serde_json::from_reader(manifest.expect("an image's manifest")).expect("a manifest in JSON");
    let name =
        manifest.pointer("/0/RepoTags/0").and_then(serde_json::Value::as_str).expect("an image's name");
    name.rsplit('/').next().unwrap_or(name).to_owned()
}
