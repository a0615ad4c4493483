//! Runs Debian's docker-registry, with or without a password and TLS.

mod built_image;
mod faulty;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tempfile::TempDir;

use crate::binaries::system;
use crate::cluster::Cluster;
use crate::htpasswd;
use crate::http;
use crate::ports::free_port;
use crate::process::Process;
use crate::tls;
use crate::wait::{seconds, wait_until};

pub use built_image::BuiltImage;
pub use faulty::{FaultyRegistry, RegistryFault};

/// The user of a registry with a password.
pub const USER: &str = "tests";
/// The password of a registry with a password.
pub const PASSWORD: &str = "correct-horse";

/// A running registry.
pub struct Registry {
    process: Process,
    dir: TempDir,
    location: String,
    /// The command that runs a program in the registry's network.
    enter_network: Vec<String>,
}

impl Registry {
    /// Starts a registry; with `auth` it requires [`USER`] and [`PASSWORD`].
    ///
    /// # Panics
    /// When the registry does not answer within 10 seconds.
    #[must_use]
    pub fn start(auth: bool) -> Self {
        Self::with(auth, false)
    }

    /// Starts a registry with a password and TLS; an authority of its own signed the certificate.
    ///
    /// # Panics
    /// When the registry does not answer within 10 seconds.
    #[must_use]
    pub fn start_tls() -> Self {
        Self::with(true, true)
    }

    /// Starts a registry with a password and TLS that a cluster's pods reach.
    ///
    /// # Panics
    /// When the registry does not answer within 10 seconds.
    #[must_use]
    pub fn start_in(cluster: &Cluster) -> Self {
        let address = cluster.address();
        let registry = Self::at(format!("{address}:5443"), cluster.enter_network(), true, true);
        wait_until(seconds(10), "the registry answers", || {
            let mut busybox = cluster.command(Path::new("/bin/busybox"));
            busybox
                .args(["nc", "-w1", &address, "5443"])
                .stdin(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        });
        registry
    }

    fn with(auth: bool, tls: bool) -> Self {
        let port = free_port();
        let registry = Self::at(format!("127.0.0.1:{port}"), vec!["env".to_owned()], auth, tls);
        wait_until(seconds(10), "the registry answers", || http::get(port, "/v2/").is_some());
        registry
    }

    fn at(location: String, enter_network: Vec<String>, auth: bool, tls: bool) -> Self {
        let dir = TempDir::new().expect("a directory for the registry");
        let config = dir.path().join("registry.yml");
        fs::write(&config, configuration(dir.path(), &location, auth, tls))
            .expect("write the registry's configuration");
        let mut command = command_in(&enter_network, &system("docker-registry", "docker-registry"));
        command.arg("serve").arg(&config);
        let process = Process::spawn("docker-registry", &mut command, &dir.path().join("log"));
        Self { process, dir, location, enter_network }
    }

    /// Returns the certificate of the authority to trust, for a registry with TLS.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.dir.path().join(tls::AUTHORITY)
    }

    /// Returns everything that the registry logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Returns the address as `<host>:<port>`.
    #[must_use]
    pub fn location(&self) -> String {
        self.location.clone()
    }

    /// Writes the password into a file for skopeo. Returns its path.
    fn login(&self) -> PathBuf {
        let file = self.dir.path().join("login.json");
        let login = STANDARD.encode(format!("{USER}:{PASSWORD}"));
        let auths = json!({"auths": {self.location(): {"auth": login}}});
        fs::write(&file, auths.to_string()).expect("write the login");
        file
    }

    /// Copies an image from a layout to `repository:tag`.
    ///
    /// # Panics
    /// When skopeo is missing or fails.
    pub fn push(&self, layout: &Path, tag: &str, repository: &str) {
        let output = command_in(&self.enter_network, &system("skopeo", "skopeo"))
            .args(["copy", "--quiet", "--dest-tls-verify=false", "--dest-authfile"])
            .arg(self.login())
            .arg(format!("oci:{}:{tag}", layout.display()))
            .arg(format!("docker://{}/{repository}:{tag}", self.location()))
            .output()
            .expect("run skopeo");
        assert!(output.status.success(), "skopeo: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn command_in(enter_network: &[String], program: &Path) -> Command {
    let mut args = enter_network.iter();
    let mut command = Command::new(args.next().map_or("env", String::as_str));
    command.args(args).arg(program);
    command
}

fn configuration(dir: &Path, location: &str, auth: bool, tls: bool) -> String {
    let tls = if tls { tls_configuration(dir) } else { String::new() };
    let mut text = format!(
        "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {}/data}}}}\n\
         http: {{addr: \"{location}\"{tls}}}\n",
        dir.display()
    );
    if auth {
        let file = dir.join("htpasswd");
        fs::write(&file, htpasswd::line(USER, PASSWORD)).expect("write the passwords");
        text += &format!("auth: {{htpasswd: {{realm: tests, path: {}}}}}\n", file.display());
    }
    text
}

fn tls_configuration(dir: &Path) -> String {
    tls::make(dir);
    let dir = dir.display();
    let certificate = tls::CERTIFICATE;
    let key = tls::KEY;
    format!(", tls: {{certificate: {dir}/{certificate}, key: {dir}/{key}}}")
}
