//! Starts the router, and reads its ports from its log.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::{Value, json};

pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);
pub(crate) const VERSION: &str = "git-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(crate) const OTHER: &str = "git-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

pub(crate) fn pinned() -> String {
    format!("{VERSION}@sha256:{}", "a".repeat(64))
}

/// A router with one deployed version of ruby.
pub(crate) struct Router {
    child: Child,
    log: Receiver<Value>,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clients: String,
    pub(crate) workers: String,
    pub(crate) keyed_clients: String,
    admin: String,
}

impl Router {
    pub(crate) fn start() -> Self {
        Self::start_with(&format!("container_versions: {{test_runners: {{ruby: ['{}']}}}}", pinned()))
    }

    pub(crate) fn start_with(config: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), config, &[])
    }

    pub(crate) fn start_in(dir: tempfile::TempDir, config: &str, flags: &[&str]) -> Self {
        std::fs::write(dir.path().join("router.yml"), config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_trackyard-router"))
            .arg(dir.path().join("router.yml"))
            .args(["--clients", "tcp://127.0.0.1:*", "--workers", "tcp://127.0.0.1:*"])
            .args(["--admin", "127.0.0.1:0", "--log", "debug"])
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = read_log(child.stderr.take().unwrap());
        let [clients, workers, keyed_clients, admin] = [const { String::new() }; 4];
        let mut router = Self { child, log, dir, clients, workers, keyed_clients, admin };
        router.admin = text(&router.logged("the admin port is open"), "address");
        router.learn_ports();
        router.wait_ready();
        router
    }

    /// Reads the ports from the next line of the log that has them.
    pub(crate) fn learn_ports(&mut self) {
        let serving = self.logged("serving");
        self.clients = text(&serving, "clients");
        self.workers = text(&serving, "workers");
        self.keyed_clients = serving["keyed_clients"].as_str().unwrap_or_default().to_owned();
    }

    pub(crate) fn wait_ready(&self) {
        until("the router is ready", || self.page("/readyz").0 == 200);
    }

    /// Waits for the next line of the log with this message.
    pub(crate) fn logged(&self, message: &str) -> Value {
        let end = Instant::now() + TIMEOUT;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.log.recv_timeout(left).unwrap_or_else(|_| panic!("not logged: {message}"));
            if line["message"] == message {
                return line;
            }
        }
    }

    /// Returns the status and body of a page of the admin port.
    pub(crate) fn page(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.admin).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    pub(crate) fn metric(&self, start: &str) -> f64 {
        let page = self.page("/metrics").1;
        let line = page.lines().find(|line| line.starts_with(start));
        line.and_then(|line| line.rsplit_once(' ')).map_or(0.0, |(_, value)| value.parse().unwrap())
    }

    /// Returns the bytes of memory that the router uses.
    pub(crate) fn resident(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * rustix::param::page_size() as u64
    }

    /// Returns the maximum bytes of memory that the router has used.
    pub(crate) fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("router.yml")
    }

    /// Sets the limit of descriptors, and returns the previous one.
    pub(crate) fn limit_descriptors(&self, limit: Rlimit) -> Rlimit {
        prlimit(Some(Pid::from_child(&self.child)), Resource::Nofile, limit).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        // The process may have been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_log(stderr: impl Read + Send + 'static) -> Receiver<Value> {
    let (sender, log) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = sender.send(serde_json::from_str(&line).unwrap_or_else(|_| json!({"message": line})));
        }
    });
    log
}

fn text(line: &Value, field: &str) -> String {
    line[field].as_str().unwrap().to_owned()
}

pub(crate) fn until(what: &str, done: impl FnMut() -> bool) {
    until_within(TIMEOUT, what, done);
}

pub(crate) fn until_within(timeout: Duration, what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + timeout;
    while !done() {
        assert!(Instant::now() < end, "not within {timeout:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
