//! A throw-away cluster of one node on this machine, managed by the scripts of `tests/cluster`.

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::cache;
use crate::binaries::{require_root, system};
use crate::wait::seconds;

/// The node's address in the cluster's network.
pub const NODE: &str = "10.250.0.1";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A running local cluster.
pub(super) struct LocalCluster {
    name: String,
    /// Whether the cluster is stopped with this value.
    stop_on_drop: bool,
}

impl LocalCluster {
    /// Starts a cluster and waits until its node is ready.
    pub(super) fn start(images: &[PathBuf]) -> Self {
        require_root();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let cluster = Self { name: format!("t{}-{number}", std::process::id()), stop_on_drop: true };
        let paths: Vec<&str> = images.iter().map(|image| image.to_str().expect("a path in UTF-8")).collect();
        let _ = cluster.run_script("up.sh", &paths);
        cluster
    }

    /// Uses a cluster that is running; it keeps running.
    pub(super) fn running(name: &str) -> Self {
        Self { name: name.to_owned(), stop_on_drop: false }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn state(&self) -> PathBuf {
        let clusters = std::env::var_os("TRACKYARD_CLUSTERS").map(PathBuf::from);
        clusters.unwrap_or_else(|| cache().join("clusters")).join(&self.name)
    }

    pub(super) fn audit_log(&self) -> String {
        std::fs::read_to_string(self.state().join("log/audit.jsonl")).unwrap_or_default()
    }

    pub(super) fn enter_network(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net={}", self.network_namespace().display())]
    }

    fn network_namespace(&self) -> PathBuf {
        Path::new("/run/netns").join(format!("trackyard-{}", self.name))
    }

    /// Adds an address to the node.
    pub(super) fn add_address(&self, address: &str) {
        let mut args = self.enter_network().into_iter();
        let mut command = Command::new(args.next().unwrap_or_default());
        command.args(args).arg(system("ip", "iproute2"));
        // `replace` also succeeds if the node has the address already.
        command.args(["address", "replace", &format!("{address}/32"), "dev", "node0"]);
        assert!(command.status().expect("run ip").success(), "no address {address}");
    }

    /// Listens on a port in the cluster's network.
    pub(super) fn listener(&self, address: &str, port: u16) -> TcpListener {
        let namespace = File::open(self.network_namespace()).expect("the cluster's network");
        let address = address.to_owned();
        // Only this thread enters the namespace; a socket stays in the namespace in which it was created.
        let bound = std::thread::spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            TcpListener::bind((address, port))
        });
        bound.join().expect("a thread in the cluster's network").expect("a port of the cluster's node")
    }

    /// Runs a script of `tests/cluster` for this cluster. Returns what it prints.
    pub(super) fn run_script(&self, script: &str, args: &[&str]) -> String {
        let output = self.script(script, args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script} {args:?}: {error}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn script(&self, name: &str, args: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster").join(name);
        let mut command = Command::new(script);
        command.arg(&self.name).args(args).stdin(Stdio::null());
        if std::env::var_os("TRACKYARD_CLUSTER_TIMEOUT").is_none() {
            command.env("TRACKYARD_CLUSTER_TIMEOUT", seconds(120).as_secs().to_string());
        }
        command.output().expect("run a script of the cluster")
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        // The cluster may be stopped already.
        if self.stop_on_drop {
            let _ = self.script("down.sh", &[]);
        }
    }
}
