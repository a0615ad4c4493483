//! Installs each scenario of the chart's `ci/`, and applies each of its samples, on a real cluster, with the chart's own
//! values. Only the images' location differs. The tests create what a user would create before.
#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};

use e2e::cluster::Cluster;
use e2e::platform::{Platform, Release, WORKER_NAMESPACE, images, install_crds};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Returns the YAML files of one of the chart's directories, by name.
fn files(dir: &str) -> Vec<(String, PathBuf)> {
    let dir = Path::new(&Release::this().chart("trackyard")).join(dir);
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> =
        files.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path)).collect();
    files.sort();
    assert!(files.len() > 2, "{files:?}");
    files
}

fn read(path: &Path) -> Value {
    serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// An installation of the chart with a scenario's values, in a namespace of the same name.
struct Installation<'a> {
    cluster: &'a Cluster,
    name: String,
    worker_namespace: String,
    values: Value,
    file: PathBuf,
}

impl<'a> Installation<'a> {
    fn new(cluster: &'a Cluster, scenario: &str, file: &Path) -> Self {
        let name = scenario.trim_end_matches("-values").to_owned();
        let values = read(file);
        let worker_namespace =
            values["workerNamespace"]["name"].as_str().map_or(format!("{name}-workers"), ToOwned::to_owned);
        Self { cluster, name, worker_namespace, values, file: file.to_owned() }
    }

    /// Creates what the installation requires: namespaces, and the Secrets that the values name.
    fn prepare(&self, dir: &Path) {
        self.cluster.namespace(&self.name);
        self.cluster.namespace(&self.worker_namespace);
        if self.values["workerNamespace"]["create"] == json!(false) {
            let label = "pod-security.kubernetes.io/enforce=privileged";
            let _ = self.cluster.kubectl(&["label", "namespace", &self.worker_namespace, label]);
        }
        for name in ["ca.crt", "config.json"] {
            fs::write(dir.join(name), "{}").unwrap();
        }
        let file = |name: &str| format!("--from-file={}", dir.join(name).display());
        let files = [file("ca.crt"), file("config.json")];
        let variables =
            ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| format!("--from-literal={name}=x"));
        self.secret(&self.name, &self.values["router"]["files"]["secret"], &files);
        self.secret(&self.worker_namespace, &self.values["agents"]["filesSecret"], &files);
        self.secret(&self.worker_namespace, &self.values["agents"]["envSecret"], &variables);
    }

    fn secret(&self, namespace: &str, name: &Value, holds: &[String; 2]) {
        let Some(name) = name.as_str() else { return };
        let create = ["create", "secret", "generic", name, "--namespace", namespace];
        let _ = self.cluster.kubectl(&[&create[..], &[&holds[0], &holds[1]]].concat());
    }

    fn install(&self, dir: &Path) {
        let here = dir.join("here.yaml");
        let image = self.cluster.image_values("");
        fs::write(&here, json!({"image": image}).to_string()).unwrap();
        let file = self.file.to_str().unwrap();
        let here = here.to_str().unwrap();
        // Waits only for pods, because the versions of a missing registry never become ready.
        let result = self.cluster.try_helm(
            &[
                &["install", &self.name, &Release::this().chart("trackyard"), "--namespace", &self.name][..],
                &["--take-ownership", "--wait=legacy", "--timeout=90s", "-f", file, "-f", here],
            ]
            .concat(),
        );
        result.unwrap_or_else(|error| {
            panic!("{}: {error}\n{}", self.name, self.cluster.pod_diagnostics(&self.name))
        });
    }

    /// Waits until an object of the worker namespace has a condition.
    fn wait_for(&self, condition: &str, object: &str) {
        let wait = ["wait", condition, object, "--timeout=120s", "--namespace", &self.worker_namespace];
        if self.cluster.try_kubectl(&wait).is_none() {
            let status = self.cluster.kubectl(&[
                "get",
                object,
                "--namespace",
                &self.worker_namespace,
                "-o=jsonpath={.status}",
            ]);
            panic!(
                "{}: {object} is not {condition}: {status}\n{}\n{}",
                self.name,
                self.cluster.pod_diagnostics(&self.name),
                self.cluster.pod_diagnostics(&self.worker_namespace)
            );
        }
    }

    /// Checks that everything that the values request exists and works.
    fn assert_serves(&self) {
        let output = self.cluster.helm(&["test", &self.name, "--namespace", &self.name]);
        assert!(output.contains("Phase:          Succeeded"), "{}: {output}", self.name);
        let replicas = self.values["operator"]["replicas"].as_u64().unwrap_or(1).to_string();
        let operators =
            ["get", "deployment", "-l=app.kubernetes.io/component=operator", "--namespace", &self.name];
        let ready = "-o=jsonpath={.items[*].status.readyReplicas}";
        assert_eq!(self.cluster.kubectl(&[&operators[..], &[ready]].concat()), replicas, "{}", self.name);
        self.cluster.apply(&format!(
            "apiVersion: trackyard.dev/v1alpha1\nkind: WorkerPool\nmetadata: {{name: any, namespace: {}}}\n\
             spec: {{channel: test_runners, topics: ['*'], slots: 1, slot: {{cpu: 50m, memory: 64Mi, storage: 64Mi}}, \
             cache: {{emptyDir: {{size: 64Mi}}}}}}\n",
            self.worker_namespace
        ));
        self.wait_for("--for=jsonpath={.status.readyReplicas}=1", "workerpool/any");
        let named =
            |kind: &str| self.values[kind].as_object().into_iter().flatten().map(|(name, _)| name.clone());
        for pool in named("pools") {
            self.wait_for("--for=condition=Ready", &format!("workerpool/{pool}"));
        }
        for version in named("versions") {
            // The version's registry does not exist.
            self.wait_for("--for=condition=Deployed=False", &format!("containerversion/{version}"));
        }
        if !self.values["extraObjects"].is_null() {
            let _ = self.cluster.kubectl(&[
                "get",
                "configmap",
                &format!("{}-extra", self.name),
                "--namespace",
                &self.name,
            ]);
        }
    }

    /// Removes the installation, without waiting.
    fn remove(&self) {
        let _ = self.cluster.helm(&["uninstall", &self.name, "--namespace", &self.name]);
        let _ = self.cluster.kubectl(&[
            "delete",
            "namespace",
            &self.name,
            &self.worker_namespace,
            "--wait=false",
        ]);
    }
}

#[test]
fn each_scenario_installs_and_serves() {
    let cluster = Cluster::with_images(&images());
    install_crds(&cluster, &Release::this());
    for (name, file) in files("ci") {
        let dir = TempDir::new().unwrap();
        let installation = Installation::new(&cluster, &name, &file);
        installation.prepare(dir.path());
        installation.install(dir.path());
        installation.assert_serves();
        installation.remove();
    }
}

#[test]
fn each_sample_is_served() {
    let platform = Platform::start();
    for (name, file) in files("samples") {
        let mut sample = read(&file);
        let object = sample["metadata"]["name"].as_str().unwrap().to_owned();
        let mut kind = "workerpool";
        if sample["kind"] == "ContainerVersion" {
            kind = "containerversion";
            let track = sample["spec"]["track"].as_str();
            let version = sample["spec"]["version"].as_str();
            platform.publish(track.unwrap(), version.unwrap());
        }
        sample["metadata"]["namespace"] = json!(WORKER_NAMESPACE);
        platform.cluster.apply(&sample.to_string());
        platform.wait_for("Ready", &format!("{kind}/{object}"));
        if let Some(replicas) = sample["spec"]["replicas"].as_u64() {
            platform.wait_for(
                &format!("jsonpath={{.status.readyReplicas}}={replicas}"),
                &format!("{kind}/{object}"),
            );
        }
        assert!(platform.kubectl(&["get", kind, &object]).is_some(), "{name}");
    }
    // The pods of the pool have the version.
    platform.wait_for("jsonpath={.status.workers.ready}=2", "containerversion/ruby");
}
