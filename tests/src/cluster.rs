//! A Kubernetes cluster for a test: one of its own on this machine, which it may break (`tests/cluster/README.md`), or
//! the one that `TRACKYARD_E2E_KUBECONFIG` names.

mod given;
mod own;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use given::Given;
use own::Own;

pub use own::NODE;

/// A running cluster.
pub struct Cluster {
    place: Place,
}

enum Place {
    Own(Own),
    Given(Given),
}

impl Cluster {
    /// One in which pods can run, with the image of a shell.
    ///
    /// # Panics
    /// When it does not become ready.
    #[must_use]
    pub fn start() -> Self {
        Self::with_images(&[])
    }

    /// The same, with more images: files as `docker save` writes them.
    ///
    /// # Panics
    /// When it does not become ready.
    #[must_use]
    pub fn with_images(images: &[PathBuf]) -> Self {
        let images = [&[archive("busybox")], images].concat();
        let place = match given::named() {
            Some(kubeconfig) => Place::Given(Given::take(kubeconfig, &images)),
            None => Place::Own(Own::start(&images)),
        };
        Self { place }
    }

    /// One on this machine in any case, for a test that does something to it.
    ///
    /// # Panics
    /// When it does not become ready, or another is given.
    #[must_use]
    pub fn own(does: &str, images: &[PathBuf]) -> Self {
        assert!(given::named().is_none(), "this test {does}: {}", given::OWN);
        Self::with_images(images)
    }

    /// One that `make cluster-up` has started; it stays.
    #[must_use]
    pub fn running(name: &str) -> Self {
        Self { place: Place::Own(Own::running(name)) }
    }

    fn as_own(&self, does: &str) -> &Own {
        match &self.place {
            Place::Own(own) => own,
            Place::Given(_) => unreachable!("this test {does}: {}", given::OWN),
        }
    }

    /// Its name, which is also its node's.
    #[must_use]
    pub fn name(&self) -> &str {
        self.as_own("knows its cluster's name").name()
    }

    /// Where its pods reach servers of this machine.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.place {
            Place::Own(_) => NODE.to_owned(),
            Place::Given(_) => given::address(),
        }
    }

    /// What an image is called in it, of those of [`archive`].
    #[must_use]
    pub fn image(&self, name: &str) -> String {
        match &self.place {
            Place::Own(_) => format!("cluster.local/{name}:1"),
            Place::Given(_) => format!("{}/{name}:1", given::registry().location),
        }
    }

    /// The chart's values for the project's images in it, of the chart's version if the tag is empty.
    #[must_use]
    pub fn image_values(&self, tag: &str) -> serde_json::Value {
        match &self.place {
            Place::Own(_) => serde_json::json!({"registry": "localhost", "pullPolicy": "Never", "tag": tag}),
            Place::Given(_) => {
                serde_json::json!({"registry": given::registry().location, "pullPolicy": "Always", "tag": tag})
            }
        }
    }

    /// Makes a namespace, which goes with this value where the cluster stays.
    pub fn namespace(&self, name: &str) {
        if let Place::Given(given) = &self.place {
            given.remember(name);
        }
        let _ = self.kubectl(&["create", "namespace", name]);
    }

    /// What kubectl prints.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        text(&self.run("kubectl", arguments))
            .unwrap_or_else(|said| unreachable!("kubectl {arguments:?}: {said}"))
    }

    /// What kubectl prints, if it succeeds.
    #[must_use]
    pub fn try_kubectl(&self, arguments: &[&str]) -> Option<String> {
        text(&self.run("kubectl", arguments)).ok()
    }

    /// What helm prints.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn helm(&self, arguments: &[&str]) -> String {
        self.try_helm(arguments).unwrap_or_else(|said| unreachable!("helm {arguments:?}: {said}"))
    }

    /// The same; what it says of a failure.
    ///
    /// # Errors
    /// When it fails.
    pub fn try_helm(&self, arguments: &[&str]) -> Result<String, String> {
        text(&self.run("helm", arguments))
    }

    fn run(&self, what: &str, arguments: &[&str]) -> Output {
        let mut command = match what {
            "helm" => self.command(&program("helm")),
            _ => self.command(&program("kube")),
        };
        if what == "kubectl" {
            command.arg(what);
        }
        command.args(arguments).stdin(Stdio::null()).output().expect("run a program of the cluster")
    }

    /// What the pods of a namespace say, for a test that fails.
    #[must_use]
    pub fn said_by_pods(&self, namespace: &str) -> String {
        let of = |arguments: &[&str]| {
            self.try_kubectl(&[arguments, &["--namespace", namespace]].concat()).unwrap_or_default()
        };
        let events = of(&["get", "events", "-o=custom-columns=R:.reason,M:.message"]);
        let logs = of(&["logs", "-l=app.kubernetes.io/part-of=trackyard", "--tail=15", "--prefix"]);
        [of(&["get", "pods"]), events, logs].join("\n")
    }

    /// What a program prints that runs as on the node, in all namespaces of the cluster.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn inside(&self, words: &[&str]) -> String {
        self.as_own("runs programs on the node").must("in.sh", words)
    }

    /// A program of this machine in the cluster's network, as its administrator.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut words = self.enter().into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).arg(program);
        command.env("KUBECONFIG", self.kubeconfig());
        command
    }

    /// Begins a program in the cluster's network.
    #[must_use]
    pub fn enter(&self) -> Vec<String> {
        match &self.place {
            Place::Own(own) => own.enter(),
            Place::Given(_) => vec!["env".to_owned()],
        }
    }

    fn kubeconfig(&self) -> PathBuf {
        match &self.place {
            Place::Own(own) => own.state().join("kubeconfig"),
            Place::Given(given) => given.kubeconfig().to_owned(),
        }
    }

    /// A port of this process that pods reach at [`Self::address`].
    ///
    /// # Panics
    /// When it is taken.
    #[must_use]
    pub fn listener(&self, port: u16) -> TcpListener {
        match &self.place {
            Place::Own(own) => own.listener((NODE, port)),
            Place::Given(_) => TcpListener::bind((given::address(), port)).expect("a port of this machine"),
        }
    }

    /// A port at any address, which the node has from now on.
    ///
    /// # Panics
    /// When it is taken.
    #[must_use]
    pub fn listener_at(&self, address: &str, port: u16) -> TcpListener {
        let own = self.as_own("gives the node addresses");
        own.add_address(address);
        own.listener((address, port))
    }

    /// Writes a manifest through `kubectl apply`.
    ///
    /// # Panics
    /// When it is refused.
    pub fn apply(&self, manifest: &str) {
        assert!(self.try_apply(manifest), "refused: {manifest}");
    }

    /// The same; false when it is refused.
    ///
    /// # Panics
    /// When there is no room for a file.
    #[must_use]
    pub fn try_apply(&self, manifest: &str) -> bool {
        let file = tempfile::NamedTempFile::new().expect("a file for a manifest");
        std::fs::write(file.path(), manifest).expect("write a manifest");
        let path = file.path().to_str().expect("a path in UTF-8");
        self.try_kubectl(&["apply", "-f", path]).is_some()
    }

    /// What accounts of pods have asked of the API server so far: a line in JSON each.
    #[must_use]
    pub fn audit(&self) -> String {
        self.as_own("reads what the API server was asked").audit()
    }

    /// Kills, stops or starts a part, such as `kube-apiserver`.
    ///
    /// # Panics
    /// When there is no such part.
    pub fn fault(&self, what: &str, part: &str) {
        let _ = self.as_own("stops parts of its cluster").must("fault.sh", &[what, part]);
    }

    /// Stops it.
    ///
    /// # Panics
    /// When something of it is left.
    pub fn stop(self) {
        let _ = self.as_own("stops its cluster").must("down.sh", &[]);
    }
}

fn text(output: &Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Where what is built for clusters is kept.
#[must_use]
pub(crate) fn cache() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    cache.or_else(home).expect("HOME").join("trackyard")
}

/// The file of one of the images that `tests/cluster/image/build.sh` makes.
#[must_use]
pub fn archive(name: &str) -> PathBuf {
    cache().join("cluster-images").join(format!("{name}.tar"))
}

/// A program that is built for clusters: `kube`, which is all of Kubernetes, `helm` or `kubeconform`.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let dir = std::env::var_os("TRACKYARD_CLUSTER_BIN").map(PathBuf::from);
    let program = dir.unwrap_or_else(|| cache().join("cluster")).join(name);
    assert!(program.is_file(), "{name} is not built; run `make test`, or tests/cluster/build.sh");
    program
}
