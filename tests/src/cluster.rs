//! A real Kubernetes cluster of one node on this machine: see `tests/cluster/README.md`.

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::binaries::require_root;

/// The node's address, in its own network.
pub const NODE: &str = "10.250.0.1";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A running cluster with a name that no other has.
pub struct Cluster {
    name: String,
}

impl Cluster {
    /// Starts one and waits until its node is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    #[must_use]
    pub fn start() -> Self {
        Self::with_images(&[])
    }

    /// The same, with more images than a shell's: files as `docker save` writes them.
    ///
    /// # Panics
    /// When it does not become ready.
    #[must_use]
    pub fn with_images(images: &[PathBuf]) -> Self {
        require_root();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let cluster = Self { name: format!("t{}-{number}", std::process::id()) };
        // The image of a shell comes with it.
        let shell = image("busybox");
        let images = [&shell].into_iter().chain(images);
        let paths: Vec<&str> = images.map(|image| image.to_str().expect("a path in UTF-8")).collect();
        cluster.must("up.sh", &paths);
        cluster
    }

    /// Its name, which is also its node's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What kubectl prints.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.must("kubectl.sh", arguments)
    }

    /// What kubectl prints, if it succeeds.
    #[must_use]
    pub fn try_kubectl(&self, arguments: &[&str]) -> Option<String> {
        let output = self.script("kubectl.sh", arguments);
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What helm prints.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn helm(&self, arguments: &[&str]) -> String {
        self.must("helm.sh", arguments)
    }

    /// The same; what it says of a failure.
    ///
    /// # Errors
    /// When it fails.
    pub fn try_helm(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.script("helm.sh", arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
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

    /// What accounts of pods have asked of the API server so far: a line in JSON each.
    #[must_use]
    pub fn audit(&self) -> String {
        std::fs::read_to_string(self.state().join("log/audit.jsonl")).unwrap_or_default()
    }

    fn state(&self) -> PathBuf {
        let clusters = std::env::var_os("TRACKYARD_CLUSTERS").map(PathBuf::from);
        clusters.unwrap_or_else(|| cache().join("clusters")).join(&self.name)
    }

    /// A program of this machine in the cluster's network, as its administrator.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/trackyard-{}", self.name)).arg(program);
        command.env("KUBECONFIG", self.state().join("kubeconfig"));
        command
    }

    /// A port of this process in the cluster's network, at [`NODE`].
    ///
    /// # Panics
    /// When it is taken.
    #[must_use]
    pub fn listener(&self, port: u16) -> TcpListener {
        let space = File::open(format!("/run/netns/trackyard-{}", self.name)).expect("the cluster's network");
        // Only the thread goes there; a socket stays in the network in which it was made.
        let bound = std::thread::spawn(move || {
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network))?;
            TcpListener::bind((NODE, port))
        });
        bound.join().expect("a thread in the cluster's network").expect("a port of the cluster's node")
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

    /// Kills, stops or starts a part, such as `kube-apiserver`.
    ///
    /// # Panics
    /// When there is no such part.
    pub fn fault(&self, what: &str, part: &str) {
        self.must("fault.sh", &[what, part]);
    }

    /// Stops it.
    ///
    /// # Panics
    /// When something of it is left.
    pub fn stop(self) {
        self.must("down.sh", &[]);
    }

    fn must(&self, script: &str, arguments: &[&str]) -> String {
        let output = self.script(script, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script} {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn script(&self, name: &str, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster").join(name);
        let mut command = Command::new(script);
        command.arg(&self.name).args(arguments).stdin(Stdio::null());
        command.output().expect("run a script of the cluster")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A test that fails has said why; one that stopped the cluster has none left.
        let _ = self.script("down.sh", &[]);
    }
}

/// Where what is built for clusters is kept.
fn cache() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    cache.or_else(home).expect("HOME").join("trackyard")
}

/// One of the images that `tests/cluster/image/build.sh` makes.
#[must_use]
pub fn image(name: &str) -> PathBuf {
    cache().join("cluster-images").join(format!("{name}.tar"))
}

/// A program that is built for clusters: `kube`, which is all of Kubernetes, or `helm`.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("TRACKYARD_CLUSTER_BIN").map(PathBuf::from);
    let program = folder.unwrap_or_else(|| cache().join("cluster")).join(name);
    assert!(program.is_file(), "{name} is not built; run `make test`, or tests/cluster/build.sh");
    program
}
