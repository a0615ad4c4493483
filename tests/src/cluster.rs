//! A Kubernetes cluster for a test: a local one, which the test may break (`tests/cluster/README.md`), or the external
//! one that `TRACKYARD_E2E_KUBECONFIG` names.

mod external;
mod local;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use external::ExternalCluster;
use local::LocalCluster;

pub use local::NODE;

/// A running cluster.
pub struct Cluster {
    backend: Backend,
}

enum Backend {
    Local(LocalCluster),
    External(ExternalCluster),
}

impl Cluster {
    /// Starts a cluster with the image `busybox`.
    ///
    /// # Panics
    /// When the cluster does not become ready.
    #[must_use]
    pub fn start() -> Self {
        Self::with_images(&[])
    }

    /// Starts a cluster with more images: files as `docker save` writes them.
    ///
    /// # Panics
    /// When the cluster does not become ready.
    #[must_use]
    pub fn with_images(images: &[PathBuf]) -> Self {
        let images = [&[archive("busybox")], images].concat();
        let backend = match external::kubeconfig() {
            Some(kubeconfig) => Backend::External(ExternalCluster::take(kubeconfig, &images)),
            None => Backend::Local(LocalCluster::start(&images)),
        };
        Self { backend }
    }

    /// Starts a local cluster, for a test that does to it what `purpose` says, such as "stops parts of its cluster".
    ///
    /// # Panics
    /// When the cluster does not become ready, or an external cluster is configured.
    #[must_use]
    pub fn local(purpose: &str, images: &[PathBuf]) -> Self {
        assert!(external::kubeconfig().is_none(), "this test {purpose}: {}", external::NEEDS_LOCAL);
        Self::with_images(images)
    }

    /// Uses a cluster that `make cluster-up` has started; it keeps running.
    #[must_use]
    pub fn running(name: &str) -> Self {
        Self { backend: Backend::Local(LocalCluster::running(name)) }
    }

    fn require_local(&self, purpose: &str) -> &LocalCluster {
        match &self.backend {
            Backend::Local(cluster) => cluster,
            Backend::External(_) => panic!("this test {purpose}: {}", external::NEEDS_LOCAL),
        }
    }

    /// Returns the cluster's name, which is also its node's.
    #[must_use]
    pub fn name(&self) -> &str {
        self.require_local("knows its cluster's name").name()
    }

    /// Returns the address at which pods reach servers of this machine.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.backend {
            Backend::Local(_) => NODE.to_owned(),
            Backend::External(_) => external::address(),
        }
    }

    /// Returns the name in the cluster of an image of [`archive`].
    #[must_use]
    pub fn image(&self, name: &str) -> String {
        match &self.backend {
            Backend::Local(_) => format!("cluster.local/{name}:1"),
            Backend::External(_) => format!("{}/{name}:1", external::registry().location),
        }
    }

    /// Returns the chart's values for the project's images; an empty tag stands for the chart's version.
    #[must_use]
    pub fn image_values(&self, tag: &str) -> serde_json::Value {
        match &self.backend {
            Backend::Local(_) => {
                serde_json::json!({"registry": "localhost", "pullPolicy": "Never", "tag": tag})
            }
            Backend::External(_) => {
                serde_json::json!({"registry": external::registry().location, "pullPolicy": "Always", "tag": tag})
            }
        }
    }

    /// Creates a namespace. In an external cluster it is removed with this value.
    pub fn namespace(&self, name: &str) {
        if let Backend::External(cluster) = &self.backend {
            cluster.remove_on_drop(name);
        }
        let _ = self.kubectl(&["create", "namespace", name]);
    }

    /// Runs kubectl. Returns what it prints.
    ///
    /// # Panics
    /// When kubectl fails.
    #[must_use]
    pub fn kubectl(&self, args: &[&str]) -> String {
        text(&self.run("kubectl", args)).unwrap_or_else(|error| panic!("kubectl {args:?}: {error}"))
    }

    /// Runs kubectl. Returns what it prints, if it succeeds.
    #[must_use]
    pub fn try_kubectl(&self, args: &[&str]) -> Option<String> {
        text(&self.run("kubectl", args)).ok()
    }

    /// Runs helm. Returns what it prints.
    ///
    /// # Panics
    /// When helm fails.
    #[must_use]
    pub fn helm(&self, args: &[&str]) -> String {
        self.try_helm(args).unwrap_or_else(|error| panic!("helm {args:?}: {error}"))
    }

    /// Runs helm. Returns what it prints.
    ///
    /// # Errors
    /// When helm fails, with what it prints to standard error.
    pub fn try_helm(&self, args: &[&str]) -> Result<String, String> {
        text(&self.run("helm", args))
    }

    fn run(&self, name: &str, args: &[&str]) -> Output {
        let mut command = match name {
            "helm" => self.command(&program("helm")),
            _ => self.command(&program("kube")),
        };
        if name == "kubectl" {
            command.arg(name);
        }
        command.args(args).stdin(Stdio::null()).output().expect("run a program of the cluster")
    }

    /// Returns pods, events and logs of a namespace, for a test that fails.
    #[must_use]
    pub fn pod_diagnostics(&self, namespace: &str) -> String {
        let run = |args: &[&str]| {
            self.try_kubectl(&[args, &["--namespace", namespace]].concat()).unwrap_or_default()
        };
        let events = run(&["get", "events", "-o=custom-columns=R:.reason,M:.message"]);
        let logs = run(&["logs", "-l=app.kubernetes.io/part-of=trackyard", "--tail=15", "--prefix"]);
        [run(&["get", "pods"]), events, logs].join("\n")
    }

    /// Runs a program on the node. Returns what it prints.
    ///
    /// # Panics
    /// When the program fails.
    #[must_use]
    pub fn run_on_node(&self, args: &[&str]) -> String {
        self.require_local("runs programs on the node").run_script("in.sh", args)
    }

    /// Returns the command of a program of this machine in the cluster's network, with the administrator's kubeconfig.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut args = self.enter_network().into_iter();
        let mut command = Command::new(args.next().unwrap_or_default());
        command.args(args).arg(program);
        command.env("KUBECONFIG", self.kubeconfig());
        command
    }

    /// Returns the command that runs a program in the cluster's network.
    #[must_use]
    pub fn enter_network(&self) -> Vec<String> {
        match &self.backend {
            Backend::Local(cluster) => cluster.enter_network(),
            Backend::External(_) => vec!["env".to_owned()],
        }
    }

    fn kubeconfig(&self) -> PathBuf {
        match &self.backend {
            Backend::Local(cluster) => cluster.state().join("kubeconfig"),
            Backend::External(cluster) => cluster.kubeconfig().to_owned(),
        }
    }

    /// Listens on a port that pods reach at [`Self::address`].
    ///
    /// # Panics
    /// When the port is in use.
    #[must_use]
    pub fn listener(&self, port: u16) -> TcpListener {
        match &self.backend {
            Backend::Local(cluster) => cluster.listener(NODE, port),
            Backend::External(_) => {
                TcpListener::bind((external::address(), port)).expect("a port of this machine")
            }
        }
    }

    /// Adds an address to the node, and listens on a port of it.
    ///
    /// # Panics
    /// When the port is in use.
    #[must_use]
    pub fn listener_at(&self, address: &str, port: u16) -> TcpListener {
        let cluster = self.require_local("gives the node addresses");
        cluster.add_address(address);
        cluster.listener(address, port)
    }

    /// Applies a manifest.
    ///
    /// # Panics
    /// When the manifest is refused.
    pub fn apply(&self, manifest: &str) {
        assert!(self.try_apply(manifest), "refused: {manifest}");
    }

    /// Applies a manifest. Returns false if it is refused.
    ///
    /// # Panics
    /// When a temporary file cannot be written.
    #[must_use]
    pub fn try_apply(&self, manifest: &str) -> bool {
        let file = tempfile::NamedTempFile::new().expect("a file for a manifest");
        std::fs::write(file.path(), manifest).expect("write a manifest");
        let path = file.path().to_str().expect("a path in UTF-8");
        self.try_kubectl(&["apply", "-f", path]).is_some()
    }

    /// Returns the API server's audit log: one JSON object in each line.
    #[must_use]
    pub fn audit_log(&self) -> String {
        self.require_local("reads what the API server was asked").audit_log()
    }

    /// Kills, stops or starts (`action`) a part, such as `kube-apiserver`.
    ///
    /// # Panics
    /// When there is no such part.
    pub fn fault(&self, action: &str, part: &str) {
        let _ = self.require_local("stops parts of its cluster").run_script("fault.sh", &[action, part]);
    }

    /// Stops the cluster.
    ///
    /// # Panics
    /// When something of the cluster is left.
    pub fn stop(self) {
        let _ = self.require_local("stops its cluster").run_script("down.sh", &[]);
    }
}

fn text(output: &Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Returns the cache directory with the programs and images of clusters.
#[must_use]
pub(crate) fn cache() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    cache.or_else(home).expect("HOME").join("trackyard")
}

/// Returns the file of an image that `tests/cluster/image/build.sh` builds.
#[must_use]
pub fn archive(name: &str) -> PathBuf {
    cache().join("cluster-images").join(format!("{name}.tar"))
}

/// Returns the path of a program for clusters: `kube`, which is all of Kubernetes, `helm` or `kubeconform`.
///
/// # Panics
/// When the program is not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let dir = std::env::var_os("TRACKYARD_CLUSTER_BIN").map(PathBuf::from);
    let program = dir.unwrap_or_else(|| cache().join("cluster")).join(name);
    assert!(program.is_file(), "{name} is not built; run `make test`, or tests/cluster/build.sh");
    program
}
