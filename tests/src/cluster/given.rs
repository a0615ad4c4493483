//! A cluster that is there already: kind, EKS, one of `make cluster-up`. A test has it for itself, and takes along what
//! it made.
//!
//! | variable | value |
//! | --- | --- |
//! | `TRACKYARD_E2E_KUBECONFIG` | the file that says how to reach it, as its administrator |
//! | `TRACKYARD_E2E_REGISTRY` | where images are pushed to, and its nodes pull from; `http://` before it: without TLS |
//! | `TRACKYARD_E2E_ADDRESS` | an address of this machine that its pods reach, for S3 and a registry of the test |

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::program;
use crate::binaries::system;

/// What to do where a test needs a cluster of its own.
pub(super) const OWN: &str = "it needs a cluster of its own. Unset TRACKYARD_E2E_KUBECONFIG to run it";

const KINDS: [&str; 2] = ["workerpools.trackyard.dev", "containerversions.trackyard.dev"];

/// The cluster to use, if one is named.
pub(super) fn named() -> Option<PathBuf> {
    std::env::var_os("TRACKYARD_E2E_KUBECONFIG").map(PathBuf::from)
}

/// An address of this machine.
pub(super) fn address() -> String {
    needed("TRACKYARD_E2E_ADDRESS", "an address of this machine that the cluster's pods reach")
}

/// Where images are pushed to.
pub(super) struct Images {
    /// Before an image's name.
    pub(super) location: String,
    plain: bool,
}

pub(super) fn registry() -> Images {
    let text = needed(
        "TRACKYARD_E2E_REGISTRY",
        "a registry to which this machine may push, and the nodes pull from",
    );
    let plain = text.strip_prefix("http://");
    Images { location: plain.unwrap_or(&text).to_owned(), plain: plain.is_some() }
}

fn needed(name: &str, what: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| unreachable!("with TRACKYARD_E2E_KUBECONFIG, {name} names {what}; it is not set"))
}

/// A cluster that other tests wait for.
pub(super) struct Given {
    kubeconfig: PathBuf,
    namespaces: Mutex<Vec<String>>,
    _alone: File,
}

impl Given {
    /// Waits for it, and brings the images.
    pub(super) fn take(kubeconfig: PathBuf, images: &[PathBuf]) -> Self {
        let lock = File::create(std::env::temp_dir().join("trackyard-e2e.lock")).expect("a file for a lock");
        lock.lock().expect("the cluster for this test alone");
        let given = Self { kubeconfig, namespaces: Mutex::default(), _alone: lock };
        let kinds = given.kubectl(&["get", "crd", "--ignore-not-found", "-o=name", KINDS[0], KINDS[1]]);
        let kinds = kinds.unwrap_or_else(|said| unreachable!("the cluster does not answer: {said}"));
        assert!(kinds.is_empty(), "{kinds} is there already: this cluster is not for tests, which remove it");
        for image in images {
            push(image);
        }
        given
    }

    pub(super) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Notes a namespace that goes with this value.
    pub(super) fn remember(&self, namespace: &str) {
        self.namespaces.lock().unwrap_or_else(PoisonError::into_inner).push(namespace.to_owned());
    }

    fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        self.run(program("kube"), &[&["kubectl"][..], arguments].concat())
    }

    fn run(&self, program: PathBuf, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(program);
        command.args(arguments).env("KUBECONFIG", &self.kubeconfig).stdin(Stdio::null());
        super::text(&command.output().expect("run a program of the cluster"))
    }
}

impl Drop for Given {
    /// What of it fails was removed by the test, or is told by the next.
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
        let _ = self.kubectl(&[&delete[..], &["crd"], &KINDS].concat());
        namespaces.insert(0, "namespace".to_owned());
        let namespaces: Vec<&str> = namespaces.iter().map(String::as_str).collect();
        if namespaces.len() > 1 {
            let _ = self.kubectl(&[&delete[..], &namespaces].concat());
        }
    }
}

/// Copies an image to the registry, under its own name without its host.
fn push(archive: &Path) {
    let to = registry();
    let name = name_in(archive);
    let mut skopeo = Command::new(system("skopeo", "skopeo"));
    skopeo.args(["copy", "--quiet", &format!("--dest-tls-verify={}", !to.plain)]);
    skopeo.arg(format!("docker-archive:{}", archive.display()));
    let output = skopeo.arg(format!("docker://{}/{name}", to.location)).output().expect("run skopeo");
    assert!(output.status.success(), "skopeo: {}", String::from_utf8_lossy(&output.stderr));
}

/// `name:tag` of the image in an archive.
fn name_in(archive: &Path) -> String {
    let mut tar = tar::Archive::new(File::open(archive).expect("an image"));
    let mut entries = tar.entries().expect("an image's files").flatten();
    let manifest = entries.find(|entry| entry.path().is_ok_and(|path| path.ends_with("manifest.json")));
    let manifest: serde_json::Value =
        serde_json::from_reader(manifest.expect("an image's manifest")).expect("a manifest in JSON");
    let name =
        manifest.pointer("/0/RepoTags/0").and_then(serde_json::Value::as_str).expect("an image's name");
    name.rsplit('/').next().unwrap_or(name).to_owned()
}
