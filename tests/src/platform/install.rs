//! Installs and upgrades the charts, with the Secrets and values that they need.

use std::fs;

use serde_json::{Value, json};

use super::{BUCKET, Platform, RELEASE, Release, SHELL};
use crate::cluster::Cluster;
use crate::git_host::{HttpsHost, PORT_IN_CLUSTER};
use crate::registry::{PASSWORD, USER};
use crate::s3::CREDENTIALS;
use crate::wait::timeout_option;

impl Platform {
    pub(super) fn install(&self, release: &Release) {
        install_crds(&self.cluster, release);
        for namespace in [RELEASE, self.worker_namespace] {
            self.cluster.namespace(namespace);
            self.create_secrets(namespace);
        }
        self.helm("install", RELEASE, release);
    }

    /// Installs the chart again, in a namespace and with a worker namespace of its own.
    ///
    /// # Panics
    /// When the installation does not become ready.
    pub fn install_another(&self, release: &str) {
        for namespace in [release.to_owned(), format!("{release}-workers")] {
            self.cluster.namespace(&namespace);
            self.create_secrets(&namespace);
        }
        self.helm("install", release, &Release::this());
    }

    /// Upgrades the release with a changed value, `<name>=<value>`.
    ///
    /// # Panics
    /// When the upgrade is refused.
    pub fn upgrade(&self, value: &str) {
        let chart = Release::this().chart("trackyard");
        let upgrade = ["upgrade", RELEASE, &chart, "--namespace", RELEASE, "--wait", &timeout_option(90)];
        let _ = self.cluster.helm(&[&upgrade[..], &["--reuse-values", "--set", value]].concat());
    }

    /// Upgrades both charts to a release, the CRDs first.
    ///
    /// # Panics
    /// When the installation does not become ready.
    pub fn upgrade_to(&self, release: &Release) {
        let _ = self.cluster.helm(&["upgrade", "trackyard-crds", &release.chart("trackyard-crds"), "--wait"]);
        self.helm("upgrade", RELEASE, release);
    }

    fn helm(&self, command: &str, name: &str, release: &Release) {
        let values = self.dir.path().join("values.yaml");
        fs::write(&values, self.values(release).to_string()).expect("write the chart's values");
        let values = values.to_str().expect("a path in UTF-8");
        let chart = release.chart("trackyard");
        let timeout = timeout_option(120);
        let args = [command, name, &chart, "--namespace", name, "--wait", &timeout, "--values", values];
        let result = self.cluster.try_helm(&[&args[..], &["--take-ownership"]].concat());
        let _ = result.unwrap_or_else(|error| panic!("{error}\n{}", self.cluster.pod_diagnostics(name)));
    }

    /// Creates the Secrets that a user would create: files for registries and git, keys for S3.
    pub fn create_secrets(&self, namespace: &str) {
        let docker = json!({"auths": {self.registry.location(): {"username": USER, "password": PASSWORD}}});
        let file = self.dir.path().join("config.json");
        fs::write(&file, docker.to_string()).expect("write the registry's password");
        let authority = format!("--from-file=ca.crt={}", self.registry.authority().display());
        let docker = format!("--from-file=config.json={}", file.display());
        let git = format!("--from-literal=git-credentials={}", HttpsHost::login_at(&self.cluster.address()));
        let create = ["create", "secret", "generic", "--namespace", namespace];
        let _ = self.cluster.kubectl(&[&create[..], &["files", &authority, &docker, &git]].concat());
        let keys = CREDENTIALS.map(|(name, value)| format!("--from-literal={name}={value}"));
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let _ = self.cluster.kubectl(&[&create[..], &["keys"], &keys].concat());
    }

    /// Returns the chart's values for the servers of this platform.
    #[must_use]
    pub fn values(&self, release: &Release) -> Value {
        let image = self.cluster.image_values(release.tag.unwrap_or_default());
        let address = self.cluster.address();
        let endpoint = format!("http://{address}:9000");
        // The servers do not listen on 443, which agents may reach anyway.
        let servers = json!({
            "to": [{"ipBlock": {"cidr": format!("{address}/32")}}],
            "ports": [{"port": 5443}, {"port": 9000}, {"port": PORT_IN_CLUSTER}],
        });
        let access = if release.is_frozen() { "clientsMay" } else { "clientAccess" };
        let router = json!({"files": {"secret": "files", "ca": true, "docker": true}, access: "everything"});
        let mut values = json!({
            "image": image,
            "networkPolicy": {"agentEgress": [servers]},
            "config": {
                "queue": {"max_wait": "60s"},
                "images": {"kind": "registry", "location": self.registry.location()},
                "source": {"url": format!("{}/{{repository}}", HttpsHost::url_at(&address))},
                "builds": {"wall": "120s", "memory": "256Mi", "pids": 128, "disk": "200Mi"},
                "inputs": {"buckets": [BUCKET], "endpoint": endpoint, "path_style": true},
            },
            "test": {"arguments": ["submit", "s3://submissions/sleep-0", "--track", SHELL, "--exercise", "two-fer"]},
            "router": router,
            "agents": {
                "env": {
                    "TRACKYARD_ALLOW_REGISTRY": self.registry.location(),
                    "TRACKYARD_ALLOW_BUCKET": BUCKET,
                    "TRACKYARD_ALLOW_REPOSITORY": HttpsHost::url_at(&address),
                    "TRACKYARD_GIT_CREDENTIALS": "/etc/trackyard-agent/git-credentials",
                    "TRACKYARD_S3_ENDPOINT": endpoint,
                    "TRACKYARD_S3_PATH_STYLE": "true",
                    "TRACKYARD_CA_FILE": "/etc/trackyard-agent/ca.crt",
                    "TRACKYARD_DOCKER_CONFIG": "/etc/trackyard-agent/config.json",
                },
                "envSecret": "keys",
                "filesSecret": "files",
            },
        });
        if let Some(values) = values.as_object_mut()
            && self.worker_namespace != release.worker_namespace
        {
            values.insert("workerNamespace".to_owned(), json!({"name": self.worker_namespace}));
        }
        values
    }
}

/// Installs the chart of the CRDs.
///
/// # Panics
/// When the cluster refuses them.
pub fn install_crds(cluster: &Cluster, release: &Release) {
    let _ = cluster.helm(&["install", "trackyard-crds", &release.chart("trackyard-crds"), "--wait"]);
    for kind in ["workerpools", "containerversions"] {
        let crd = format!("crd/{kind}.trackyard.dev");
        let _ = cluster.kubectl(&["wait", "--for=condition=Established", &crd, &timeout_option(20)]);
    }
}
