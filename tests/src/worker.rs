//! Runs the real worker.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::binaries::{binary, require_root};
use crate::http;
use crate::pod::Pod;
use crate::ports::free_port;
use crate::process::Process;
use crate::router::Router;
use crate::wait::{seconds, wait_until};

/// The environment variable that makes all workers run in pods.
const PODS_VARIABLE: &str = "TRACKYARD_TEST_PODS";

/// The options with which a worker is started.
pub struct WorkerOptions {
    name: String,
    channel: String,
    topics: Vec<String>,
    slots: u32,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    dir: Option<PathBuf>,
    in_pod: bool,
}

impl WorkerOptions {
    /// Creates the options of a generic test runner with one slot.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            channel: "test_runners".to_owned(),
            topics: Vec::new(),
            slots: 1,
            flags: Vec::new(),
            environment: Vec::new(),
            dir: None,
            in_pod: std::env::var_os(PODS_VARIABLE).is_some(),
        }
    }

    /// Runs the worker in a container, as in a cluster.
    #[must_use]
    pub fn in_pod(mut self) -> Self {
        self.in_pod = true;
        self
    }

    /// Sets another channel.
    #[must_use]
    pub fn channel(mut self, channel: &str) -> Self {
        channel.clone_into(&mut self.channel);
        self
    }

    /// Scopes the worker to one more track.
    #[must_use]
    pub fn topic(mut self, track: &str) -> Self {
        self.topics.push(track.to_owned());
        self
    }

    /// Sets the number of slots.
    #[must_use]
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = slots;
        self
    }

    /// Adds command line arguments.
    #[must_use]
    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    /// Adds environment variables, such as [`CREDENTIALS`](crate::s3::CREDENTIALS).
    #[must_use]
    pub fn environment(mut self, variables: &[(&str, &str)]) -> Self {
        self.environment.extend(variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
        self
    }

    /// Sets a work directory that outlives the worker.
    #[must_use]
    pub fn dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    /// Starts the worker and waits until it is ready.
    ///
    /// # Panics
    /// When the worker does not become ready.
    #[must_use]
    pub fn start(self, router: &Router) -> Worker {
        let mut worker = self.launch(router);
        worker.wait_ready();
        worker
    }

    /// Starts the worker.
    ///
    /// # Panics
    /// When the worker cannot be started.
    #[must_use]
    pub fn launch(self, router: &Router) -> Worker {
        require_root();
        let own = TempDir::new().expect("a directory for the worker");
        let dir = self.dir.clone().unwrap_or_else(|| own.path().join("work"));
        let admin = free_port();
        let mut command = Command::new(binary("trackyard-worker"));
        command
            .args(["listen", &self.name, &self.url(router)])
            .arg(&dir)
            .args(["--slots", &self.slots.to_string(), "--admin", &format!("127.0.0.1:{admin}")])
            .args(&self.flags)
            .envs(self.environment);
        let pod = self.in_pod.then(|| Pod::new(&self.name, &command));
        let mut command = pod.as_ref().map_or(command, Pod::command);
        let process = Process::spawn(&self.name, &mut command, &own.path().join("worker.log"));
        Worker { process, pod, admin, dir, _own: own }
    }

    fn url(&self, router: &Router) -> String {
        let scope: Vec<String> = self.topics.iter().map(|topic| format!("topic={topic}")).collect();
        let query = if scope.is_empty() { String::new() } else { format!("?{}", scope.join("&")) };
        format!("{}/{}{query}", router.clients(), self.channel)
    }
}

/// A running worker. Fields are dropped in order, so the process ends before its directory is removed.
pub struct Worker {
    process: Process,
    pod: Option<Pod>,
    admin: u16,
    dir: PathBuf,
    _own: TempDir,
}

impl Worker {
    /// Waits until `/readyz` answers 200.
    ///
    /// # Panics
    /// When the worker does not become ready, or has ended.
    pub fn wait_ready(&mut self) {
        wait_until(seconds(40), "the worker is ready", || {
            assert!(self.process.is_running(), "the worker has ended: {}", self.process.log());
            http::is_ready(self.admin)
        });
    }

    /// Returns the process, for signals and logs.
    #[must_use]
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Returns the container that the worker runs in.
    ///
    /// # Panics
    /// When the worker does not run in a container.
    #[must_use]
    pub fn pod(&self) -> &Pod {
        self.pod.as_ref().expect("a worker in a pod")
    }

    /// Returns the work directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the admin port.
    #[must_use]
    pub fn admin(&self) -> u16 {
        self.admin
    }

    /// Reads `/status.json`.
    ///
    /// # Panics
    /// When the page is not JSON.
    #[must_use]
    pub fn status(&self) -> Value {
        let page = http::get(self.admin, "/status.json").expect("the status page");
        serde_json::from_str(&page.body).expect("JSON")
    }
}
