//! Runs the real router.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use trackyard_protocol::answer::Answer;
use trackyard_protocol::client::Client;

use crate::binaries::binary;
use crate::config::Config;
use crate::http;
use crate::ports::free_port;
use crate::process::Process;
use crate::wait::{seconds, wait_until};

/// A router on free loopback ports, with a configuration directory of its own.
pub struct Router {
    process: Process,
    dir: TempDir,
    clients: u16,
    workers: u16,
    admin: u16,
}

impl Router {
    /// Starts a router and waits until it is ready.
    ///
    /// # Panics
    /// When the router does not become ready.
    #[must_use]
    pub fn start(config: &Config) -> Self {
        let mut router = Self::launch(&config.yaml(), &[]);
        router.wait_ready();
        router
    }

    /// Starts a router on a configuration's text without waiting for it.
    ///
    /// # Panics
    /// When the router cannot be started.
    #[must_use]
    pub fn launch(config: &str, flags: &[&str]) -> Self {
        let dir = TempDir::new().expect("a directory for the router");
        fs::write(dir.path().join("config.yml"), config).expect("write the configuration");
        let [clients, workers, admin] = [(); 3].map(|()| free_port());
        let process = spawn(&dir, clients, workers, admin, flags);
        Self { process, dir, clients, workers, admin }
    }

    /// Waits until `/readyz` answers 200.
    ///
    /// # Panics
    /// When the router does not become ready, or has ended.
    pub fn wait_ready(&mut self) {
        wait_until(seconds(20), "the router is ready", || {
            assert!(self.process.is_running(), "the router has ended: {}", self.process.log());
            http::is_ready(self.admin)
        });
    }

    /// Starts the router again on the same ports and configuration, after [`kill`](Self::kill) or
    /// [`stop`](Self::stop).
    pub fn restart(&mut self, flags: &[&str]) {
        self.process = spawn(&self.dir, self.clients, self.workers, self.admin, flags);
    }

    /// Kills the router with SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Sends SIGTERM, and waits until the router has ended.
    pub fn stop(&mut self) -> ExitStatus {
        self.process.signal(Signal::TERM);
        self.process.wait_for_exit(seconds(60))
    }

    /// Returns the process, for signals and logs.
    #[must_use]
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Returns the path of the configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.dir.path().join("config.yml")
    }

    /// Reads the configuration file.
    ///
    /// # Panics
    /// When the file cannot be read or is not YAML.
    #[must_use]
    pub fn config_now(&self) -> Value {
        let text = fs::read_to_string(self.config_file()).expect("read the configuration");
        serde_yaml::from_str(&text)
            .unwrap_or_else(|error| panic!("the configuration is torn: {error}\n{text}"))
    }

    /// Returns the clients' address.
    #[must_use]
    pub fn clients(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.clients)
    }

    /// Returns the workers' address.
    #[must_use]
    pub fn workers(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.workers)
    }

    /// Returns the admin port.
    #[must_use]
    pub fn admin(&self) -> u16 {
        self.admin
    }

    /// Connects a new client.
    ///
    /// # Panics
    /// When the address is refused.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::connect(&self.clients()).expect("a client")
    }

    /// Sends a request on a connection of its own, and waits for the answer.
    ///
    /// # Panics
    /// When there is no answer within 90 seconds.
    #[must_use]
    pub fn ask(&self, request: &Value) -> Answer {
        self.client().request(request, seconds(90)).expect("an answer")
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

    /// Reads `/metrics`.
    ///
    /// # Panics
    /// When the router does not answer.
    #[must_use]
    pub fn metrics(&self) -> String {
        http::get(self.admin, "/metrics").expect("the metrics page").body
    }
}

fn spawn(dir: &TempDir, clients: u16, workers: u16, admin: u16, flags: &[&str]) -> Process {
    let loopback = |port: u16| format!("tcp://127.0.0.1:{port}");
    let mut command = Command::new(binary("trackyard-router"));
    command
        .arg(dir.path().join("config.yml"))
        .args(["--clients", &loopback(clients), "--workers", &loopback(workers)])
        .args(["--admin", &format!("127.0.0.1:{admin}")])
        .args(flags);
    Process::spawn("trackyard-router", &mut command, &dir.path().join("router.log"))
}
