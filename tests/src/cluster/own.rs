//! A throw-away cluster of one node on this machine, by the scripts of `tests/cluster`.

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

/// The node's address, in its own network.
pub const NODE: &str = "10.250.0.1";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A running cluster.
pub(super) struct Own {
    name: String,
    /// It goes with this value.
    is_ours: bool,
}

impl Own {
    /// Starts one and waits until its node is ready.
    pub(super) fn start(images: &[PathBuf]) -> Self {
        require_root();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let cluster = Self { name: format!("t{}-{number}", std::process::id()), is_ours: true };
        let paths: Vec<&str> = images.iter().map(|image| image.to_str().expect("a path in UTF-8")).collect();
        let _ = cluster.must("up.sh", &paths);
        cluster
    }

    /// One that is up.
    pub(super) fn running(name: &str) -> Self {
        Self { name: name.to_owned(), is_ours: false }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn state(&self) -> PathBuf {
        let clusters = std::env::var_os("TRACKYARD_CLUSTERS").map(PathBuf::from);
        clusters.unwrap_or_else(|| cache().join("clusters")).join(&self.name)
    }

    pub(super) fn audit(&self) -> String {
        std::fs::read_to_string(self.state().join("log/audit.jsonl")).unwrap_or_default()
    }

    pub(super) fn enter(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net={}", self.space().display())]
    }

    fn space(&self) -> PathBuf {
        Path::new("/run/netns").join(format!("trackyard-{}", self.name))
    }

    /// Gives the node one more address.
    pub(super) fn add_address(&self, address: &str) {
        let mut words = self.enter().into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).arg(system("ip", "iproute2"));
        // Replaced: it may have it already.
        command.args(["address", "replace", &format!("{address}/32"), "dev", "node0"]);
        assert!(command.status().expect("run ip").success(), "no address {address}");
    }

    /// A port in the cluster's network.
    pub(super) fn listener(&self, at: (&str, u16)) -> TcpListener {
        let space = File::open(self.space()).expect("the cluster's network");
        let (address, port) = (at.0.to_owned(), at.1);
        // Only the thread goes there; a socket stays in the network in which it was made.
        let bound = std::thread::spawn(move || {
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network))?;
            TcpListener::bind((address, port))
        });
        bound.join().expect("a thread in the cluster's network").expect("a port of the cluster's node")
    }

    /// Runs a script of `tests/cluster` for it.
    pub(super) fn must(&self, script: &str, arguments: &[&str]) -> String {
        let output = self.script(script, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script} {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn script(&self, name: &str, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster").join(name);
        let mut command = Command::new(script);
        command.arg(&self.name).args(arguments).stdin(Stdio::null());
        if std::env::var_os("TRACKYARD_CLUSTER_TIMEOUT").is_none() {
            command.env("TRACKYARD_CLUSTER_TIMEOUT", seconds(120).as_secs().to_string());
        }
        command.output().expect("run a script of the cluster")
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // A test that fails has said why; one that stopped the cluster has none left.
        if self.is_ours {
            let _ = self.script("down.sh", &[]);
        }
    }
}
