//! `trackyard` beside fakes of the router and the worker, which only report that they are ready.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

/// A program that serves the admin port of its `--admin` until SIGTERM.
const READY: &str = r#"#!/usr/bin/env python3
import http.server, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *args):
        pass
host, port = sys.argv[sys.argv.index("--admin") + 1].split(":")
server = http.server.HTTPServer((host, int(port)), Ready)
print("serving", *sys.argv[1:], flush=True)
server.serve_forever()
"#;

/// A program that prints a reason and ends.
const BROKEN: &str = "#!/bin/sh\necho no cgroups here >&2\nexit 3\n";

/// One test at a time: a program cannot be started while the child of another test still has the copy open for writing.
static EXCLUSIVE: Mutex<()> = Mutex::new(());

/// A directory with the binaries and an image layout.
pub(crate) struct Fakes {
    dir: TempDir,
    _exclusive: MutexGuard<'static, ()>,
}

impl Fakes {
    /// Creates fakes that become ready.
    pub(crate) fn ready() -> Self {
        Self::new(READY)
    }

    /// Creates a router that becomes ready, and workers that end at once.
    pub(crate) fn with_broken_workers() -> Self {
        Self::new(BROKEN)
    }

    fn new(worker: &str) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "`trackyard local` needs root: run the tests with sudo"
        );
        let exclusive = EXCLUSIVE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        fs::copy(env!("CARGO_BIN_EXE_trackyard"), dir.path().join("trackyard")).unwrap();
        program(&dir.path().join("trackyard-router"), READY);
        program(&dir.path().join("trackyard-worker"), worker);
        let layout = dir.path().join("images/ruby-test-runner");
        fs::create_dir_all(&layout).unwrap();
        let tag = format!("git-{}", "a".repeat(40));
        let named = serde_json::json!({"org.opencontainers.image.ref.name": tag});
        let index = serde_json::json!({"manifests": [{"annotations": named}]});
        fs::write(layout.join("index.json"), index.to_string()).unwrap();
        Self { dir, _exclusive: exclusive }
    }

    /// Returns the command `trackyard local up`, which creates its temporary directories in one of its own.
    pub(crate) fn up(&self) -> Command {
        let temporary = self.dir.path().join("tmp");
        fs::create_dir_all(temporary).unwrap();
        let mut command = Command::new(self.dir.path().join("trackyard"));
        command.args(["local", "up", "--images"]).arg(self.dir.path().join("images"));
        command.env("TMPDIR", self.dir.path().join("tmp")).env("NO_COLOR", "1");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Returns the temporary directories that are left.
    pub(crate) fn temporary(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path().join("tmp")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Counts the running processes whose command line has a path of these fakes.
    pub(crate) fn running(&self) -> usize {
        let own = self.dir.path().as_os_str().as_encoded_bytes();
        let lines = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| fs::read(entry.unwrap().path().join("cmdline")).ok());
        lines.filter(|line| line.windows(own.len()).any(|window| window == own)).count()
    }
}

fn program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}
