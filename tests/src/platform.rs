//! All of Trackyard in a cluster, as a user installs it: charts, images, a registry, S3, and a client's pod.

mod client;
mod release;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::{self, Cluster};
use crate::git_host::{HttpsHost, PORT_IN_CLUSTER};
use crate::image::Image;
use crate::layout::Layout;
use crate::registry::{PASSWORD, Registry, USER};
use crate::request::{test_solution, version};
use crate::s3::{CREDENTIALS, S3};
use crate::stage::OBEDIENT;
use crate::tooling::PASSED;
use crate::wait::{seconds, timeout_option, wait_until};

pub use client::Asking;
pub use release::Release;

/// The namespace of the release.
pub const RELEASE: &str = "trackyard";
/// The worker namespace, unless the release is an earlier one.
pub const WORKER_NAMESPACE: &str = "trackyard-workers";
/// The bucket of submissions.
pub const BUCKET: &str = "submissions";
/// The track whose test runner does what the submission's `do.sh` says.
pub const SHELL: &str = "shell";

/// A cluster with Trackyard in it.
pub struct Platform {
    /// The cluster.
    pub cluster: Cluster,
    /// The registry of the tooling images.
    pub registry: Registry,
    /// Where submissions are.
    pub s3: S3,
    /// The namespace of pools and versions.
    pub worker_namespace: &'static str,
    dir: TempDir,
}

impl Platform {
    /// Starts a cluster, installs both charts and waits until router and operator are ready. The registry has the
    /// examples' images, and one for the track [`SHELL`].
    ///
    /// # Panics
    /// When something of it does not become ready.
    #[must_use]
    pub fn start() -> Self {
        Self::on(Cluster::with_images(&images()), &Release::this())
    }

    /// The same with another release than the one that is being tested, in a cluster of its own.
    ///
    /// # Panics
    /// When something of it does not become ready, or another cluster is given.
    #[must_use]
    pub fn start_with(release: &Release) -> Self {
        // Those of this one are for an upgrade.
        let other = if release.tag.is_some() { release.images() } else { Vec::new() };
        Self::on(Cluster::own("asks from the node", &[other, images()].concat()), release)
    }

    /// The same in a cluster of its own in any case, for a test that does something to it.
    ///
    /// # Panics
    /// When something of it does not become ready, or another cluster is given.
    #[must_use]
    pub fn own(does: &str) -> Self {
        Self::on(Cluster::own(does, &images()), &Release::this())
    }

    fn on(cluster: Cluster, release: &Release) -> Self {
        let mut platform = Self::serve(cluster);
        platform.worker_namespace = release.worker_namespace;
        platform.install(release);
        platform.client();
        platform
    }

    /// Only what a cluster needs from elsewhere: tooling images and submissions.
    ///
    /// # Panics
    /// When a server does not start.
    #[must_use]
    pub fn serve(cluster: Cluster) -> Self {
        let platform = Self {
            registry: Registry::start_in(&cluster),
            s3: S3::start_on(cluster.listener(9000), BUCKET),
            dir: TempDir::new().expect("a directory"),
            worker_namespace: WORKER_NAMESPACE,
            cluster,
        };
        platform.fill();
        platform
    }

    /// Tooling images and submissions.
    fn fill(&self) {
        for repository in fs::read_dir(examples()).expect("the examples' images").flatten() {
            let name = repository.file_name().to_string_lossy().into_owned();
            for tag in tags(&repository.path()) {
                self.registry.push(&repository.path(), &tag, &name);
            }
        }
        self.publish(SHELL, &version('a'));
    }

    /// Puts an image into the registry that is the test runner of a track, and does what the submission's `do.sh` says.
    pub fn publish(&self, track: &str, tag: &str) {
        let layout = Layout::at(&self.dir.path().join("images"));
        let repository = format!("{track}-test-runner");
        layout.add(&repository, tag, &Image::tooling("test_runners", OBEDIENT));
        self.registry.push(&layout.dir().join(&repository), tag, &repository);
    }

    /// Installs the chart once more, in a namespace of its own with a worker namespace of its own.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn install_another(&self, release: &str) {
        for namespace in [release.to_owned(), format!("{release}-workers")] {
            self.cluster.namespace(&namespace);
            self.credentials(&namespace);
        }
        self.helm("install", release, &Release::this());
    }

    /// Changes the release's values.
    ///
    /// # Panics
    /// When it is refused.
    pub fn upgrade(&self, set: &str) {
        let _ = self.cluster.helm(&[
            "upgrade",
            RELEASE,
            &Release::this().chart("trackyard"),
            "--namespace",
            RELEASE,
            "--wait",
            &timeout_option(90),
            "--reuse-values",
            "--set",
            set,
        ]);
    }

    fn install(&self, release: &Release) {
        install_crds(&self.cluster, release);
        for namespace in [RELEASE, self.worker_namespace] {
            self.cluster.namespace(namespace);
            self.credentials(namespace);
        }
        self.helm("install", RELEASE, release);
    }

    /// Upgrades both charts, the CRDs first.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn upgrade_to(&self, release: &Release) {
        let _ = self.cluster.helm(&["upgrade", "trackyard-crds", &release.chart("trackyard-crds"), "--wait"]);
        self.helm("upgrade", RELEASE, release);
    }

    fn helm(&self, what: &str, name: &str, release: &Release) {
        let values = self.dir.path().join("values.yaml");
        fs::write(&values, self.values(release).to_string()).expect("write the chart's values");
        let values = values.to_str().expect("a path in UTF-8");
        let (chart, timeout) = (release.chart("trackyard"), timeout_option(120));
        let words = [what, name, &chart, "--namespace", name, "--wait", &timeout, "--values", values];
        let said = self.cluster.try_helm(&[&words[..], &["--take-ownership"]].concat());
        let _ = said.unwrap_or_else(|error| unreachable!("{error}\n{}", self.cluster.said_by_pods(name)));
    }

    /// Secrets as a user makes them: files for registries, keys for S3.
    pub fn credentials(&self, namespace: &str) {
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

    /// The chart's values for what is served.
    #[must_use]
    pub fn values(&self, release: &Release) -> Value {
        let image = self.cluster.image_values(release.tag.unwrap_or_default());
        let address = self.cluster.address();
        let endpoint = format!("http://{address}:9000");
        // They are not on 443 outside, where agents may go anyway.
        let servers = json!({
            "to": [{"ipBlock": {"cidr": format!("{address}/32")}}],
            "ports": [{"port": 5443}, {"port": 9000}, {"port": PORT_IN_CLUSTER}],
        });
        let mut router = json!({"files": {"secret": "files", "ca": true, "docker": true}});
        let access = if release.is_frozen() { "clientsMay" } else { "clientAccess" };
        router[access] = json!("everything");
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
        if self.worker_namespace != release.worker_namespace {
            values["workerNamespace"] = json!({"name": self.worker_namespace});
        }
        values
    }

    /// Returns what kubectl prints of the worker namespace, if it succeeds.
    #[must_use]
    pub fn kubectl(&self, arguments: &[&str]) -> Option<String> {
        self.cluster.try_kubectl(&[arguments, &["--namespace", self.worker_namespace]].concat())
    }

    /// Makes or changes a pool of small workers.
    pub fn pool(&self, name: &str, topics: &str, more: &str) {
        self.pool_of(name, topics, "125m", more);
    }

    /// The same, of slots that get so much processor.
    pub fn pool_of(&self, name: &str, topics: &str, cpu: &str, more: &str) {
        self.pool_with(name, topics, 4, cpu, more);
    }

    /// The same, of workers with so many slots.
    pub fn pool_with(&self, name: &str, topics: &str, slots: u32, cpu: &str, more: &str) {
        let namespace = self.worker_namespace;
        self.cluster.apply(&format!(
            "apiVersion: trackyard.dev/v1alpha1\nkind: WorkerPool\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
             spec: {{channel: test_runners, topics: [{topics}], slots: {slots}, \
             slot: {{cpu: {cpu}, memory: 128Mi, storage: 64Mi}}, cache: {{emptyDir: {{size: 512Mi}}}}, {more}}}\n"
        ));
    }

    /// Makes a pool with one builder.
    pub fn builders(&self, name: &str) {
        let namespace = self.worker_namespace;
        self.cluster.apply(&format!(
            "apiVersion: trackyard.dev/v1alpha1\nkind: WorkerPool\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
             spec: {{channel: builders, topics: ['*'], slots: 1, slot: {{cpu: 500m, memory: 512Mi, storage: 512Mi}}, \
             cache: {{emptyDir: {{size: 512Mi}}}}, drainTimeout: 5m}}\n"
        ));
    }

    /// Asks for a version by a resource that names a git reference; the resource's name.
    #[must_use]
    pub fn build(&self, track: &str, reference: &str) -> String {
        let namespace = self.worker_namespace;
        let name = format!("{track}-{reference}");
        self.cluster.apply(&format!(
            "apiVersion: trackyard.dev/v1alpha1\nkind: ContainerVersion\n\
             metadata: {{name: {name}, namespace: {namespace}}}\n\
             spec: {{channel: test_runners, track: {track}, gitReference: {reference}, limits: {{memory: 100Mi}}}}\n"
        ));
        format!("containerversion/{name}")
    }

    /// Deploys a version by a resource of its own.
    pub fn deploy(&self, track: &str, tag: &str) {
        let namespace = self.worker_namespace;
        self.cluster.apply(&format!(
            "apiVersion: trackyard.dev/v1alpha1\nkind: ContainerVersion\n\
             metadata: {{name: {track}-{tag}, namespace: {namespace}}}\n\
             spec: {{channel: test_runners, track: {track}, version: {tag}, limits: {{memory: 100Mi}}}}\n"
        ));
    }

    /// Waits for a condition of a resource of the worker namespace.
    ///
    /// # Panics
    /// When it does not come to be within two minutes; with what the resource and the pods say.
    pub fn wait_for(&self, condition: &str, resource: &str) {
        let kind = if condition.contains('=') { "" } else { "condition=" };
        let condition = format!("--for={kind}{condition}");
        if self.kubectl(&["wait", &condition, resource, &timeout_option(120)]).is_none() {
            let said = self.kubectl(&["get", resource, "-o=jsonpath={.status}"]).unwrap_or_default();
            let (agents, others) =
                (self.cluster.said_by_pods(self.worker_namespace), self.cluster.said_by_pods(RELEASE));
            unreachable!("{resource} is not {condition}: {said}\n{agents}\n{others}");
        }
    }

    /// Stores a submission; gives its URI.
    #[must_use]
    pub fn submission(&self, name: &str, files: &[(&str, &[u8])]) -> String {
        for (file, bytes) in files {
            self.s3.put(BUCKET, &format!("{name}/{file}"), bytes);
        }
        format!("s3://{BUCKET}/{name}")
    }

    /// Stores an example's submission, such as `ruby/submissions/leap/passing`; gives its URI.
    ///
    /// # Panics
    /// When there is no such example.
    #[must_use]
    pub fn example_submission(&self, dir: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(dir);
        let files = fs::read_dir(path).expect("an example").flatten().filter(|entry| entry.path().is_file());
        for file in files {
            let bytes = fs::read(file.path()).expect("read an example's file");
            self.s3.put(BUCKET, &format!("{dir}/{}", file.file_name().display()), &bytes);
        }
        format!("s3://{BUCKET}/{dir}")
    }

    /// The tag of an example's image.
    #[must_use]
    pub fn example(&self, repository: &str) -> String {
        let mut tags = tags(&examples().join(repository));
        tags.sort();
        tags.into_iter().next().expect("a tag")
    }

    /// A job of the track [`SHELL`] that takes so many seconds.
    #[must_use]
    pub fn sleeping(&self, id: &str, seconds: u32) -> Value {
        let script = format!("sleep {seconds}\necho '{PASSED}' > /mnt/exercism-iteration/results.json\n");
        let name = format!("sleep-{seconds}");
        test_solution(id, SHELL, &self.submission(&name, &[("do.sh", script.as_bytes())]), &version('a'))
    }

    /// Deploys the version of [`SHELL`].
    pub fn deploy_shell(&self) {
        self.deploy(SHELL, &version('a'));
    }

    /// Jobs in workers' hands.
    #[must_use]
    pub fn busy(&self) -> u64 {
        let workers =
            self.status().and_then(|status| status.pointer("/dispatch/workers")?.as_array().cloned());
        workers.iter().flatten().filter_map(|worker| worker.get("busy")?.as_u64()).sum()
    }

    /// Waits until something is true of the router's view.
    ///
    /// # Panics
    /// When it does not come to be.
    pub fn until_status(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        wait_until(seconds(60), what, || self.status().is_some_and(|status| is_so(&status)));
    }

    /// The router's `/status.json`.
    #[must_use]
    pub fn status(&self) -> Option<Value> {
        let path = format!("/api/v1/namespaces/{RELEASE}/services/{RELEASE}-router:admin/proxy/status.json");
        serde_json::from_str(&self.cluster.try_kubectl(&["get", "--raw", &path])?).ok()
    }
}

/// Installs the chart of the CRDs.
///
/// # Panics
/// When the cluster does not take them.
pub fn install_crds(cluster: &Cluster, release: &Release) {
    let _ = cluster.helm(&["install", "trackyard-crds", &release.chart("trackyard-crds"), "--wait"]);
    for kind in ["workerpools", "containerversions"] {
        let crd = format!("crd/{kind}.trackyard.dev");
        let _ = cluster.kubectl(&["wait", "--for=condition=Established", &crd, &timeout_option(20)]);
    }
}

/// The project's own images, and a client's.
///
/// # Panics
/// When nobody has built them.
#[must_use]
pub fn images() -> Vec<PathBuf> {
    Release::this().images().into_iter().chain([cluster::archive("client")]).collect()
}

fn examples() -> PathBuf {
    let dir = std::env::var_os("TRACKYARD_TEST_IMAGES").map(PathBuf::from);
    dir.expect("TRACKYARD_TEST_IMAGES names the directory of the examples' images; run `make test`")
}

fn tags(layout: &Path) -> Vec<String> {
    let index = fs::read(layout.join("index.json")).expect("a layout's index");
    let index: Value = serde_json::from_slice(&index).expect("a layout's index in JSON");
    let manifests = index.get("manifests").and_then(Value::as_array).cloned().unwrap_or_default();
    let tag = |manifest: &Value| {
        Some(manifest.get("annotations")?.get("org.opencontainers.image.ref.name")?.as_str()?.to_owned())
    };
    manifests.iter().filter_map(tag).collect()
}

/// A program in the client's pod.
fn in_client(cluster: &Cluster, words: &[&str]) -> Command {
    let mut command = cluster.command(&cluster::program("kube"));
    command.args(["kubectl", "exec", "--namespace", RELEASE, "--stdin", "client", "--"]).args(words);
    command
}
