//! Runs OpenSSH's server, which accepts one key.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::binaries::{require_root, system};
use crate::ports::free_port;
use crate::process::Process;
use crate::wait::{seconds, wait_until};

/// A running host: every repository on this machine can be fetched with the key.
pub struct SshHost {
    _process: Process,
    dir: TempDir,
    port: u16,
}

impl SshHost {
    /// Starts the server.
    ///
    /// # Panics
    /// When it does not accept connections within 10 seconds.
    #[must_use]
    pub fn start() -> Self {
        require_root();
        let dir = TempDir::new().expect("a directory for the ssh server");
        let port = free_port();
        make_key(&dir.path().join("host"));
        make_key(&dir.path().join("client"));
        let host = fs::read_to_string(dir.path().join("host.pub")).expect("the host's key");
        let known = format!("[127.0.0.1]:{port} {host}");
        fs::write(dir.path().join("known_hosts"), known).expect("write the known hosts");
        // The directory for privilege separation, which the service's unit would create.
        fs::create_dir_all("/run/sshd").expect("the directory /run/sshd");
        let config = dir.path().join("sshd_config");
        fs::write(&config, configuration(dir.path(), port)).expect("write sshd's configuration");
        let mut command = Command::new(system("sshd", "openssh-server"));
        command.args(["-D", "-e", "-f"]).arg(&config);
        let process = Process::spawn("sshd", &mut command, &dir.path().join("log"));
        let connects = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        wait_until(seconds(10), "sshd accepts connections", connects);
        Self { _process: process, dir, port }
    }

    /// Returns the base URL of the file system.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ssh://root@127.0.0.1:{}", self.port)
    }

    /// Returns the accepted private key.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.dir.path().join("client")
    }

    /// Returns the `known_hosts` file with the host's key.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.dir.path().join("known_hosts")
    }
}

fn make_key(file: &Path) {
    let mut command = Command::new(system("ssh-keygen", "openssh-client"));
    let output = command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file).output();
    let output = output.expect("run ssh-keygen");
    assert!(output.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&output.stderr));
}

fn configuration(dir: &Path, port: u16) -> String {
    let here = dir.display();
    format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {here}/host\nAuthorizedKeysFile {here}/client.pub\nPidFile none\n\
         StrictModes no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\nUsePAM no\n"
    )
}
