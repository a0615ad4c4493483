//! Runs Apache in front of `git http-backend`, with TLS and a password.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::binaries::system;
use crate::cluster::Cluster;
use crate::htpasswd;
use crate::ports::free_port;
use crate::process::Process;
use crate::tls;
use crate::wait::{seconds, wait_until};

/// The user that may fetch.
const USER: &str = "tests";
/// The user's password.
pub const PASSWORD: &str = "git-horse-battery";

/// The port of a host that serves a cluster.
pub const PORT_IN_CLUSTER: u16 = 8444;

/// A running host with a copy of one repository.
pub struct HttpsHost {
    _process: Process,
    dir: TempDir,
    address: String,
}

impl HttpsHost {
    /// Serves a copy of `repository` under its directory's name.
    ///
    /// # Panics
    /// When it does not accept connections within 10 seconds.
    #[must_use]
    pub fn start(repository: &Path) -> Self {
        let port = free_port();
        let dir = TempDir::new().expect("a directory for the git host");
        tls::make(dir.path());
        let apache = Command::new(system("apache2", "apache2-bin"));
        let host = Self::serve(apache, repository, format!("127.0.0.1:{port}"), dir);
        let connects = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        wait_until(seconds(10), "Apache accepts connections", connects);
        host
    }

    /// Serves it on a cluster's node, with the certificate in `certificates`.
    ///
    /// # Panics
    /// When the certificate is missing.
    #[must_use]
    pub fn start_in(cluster: &Cluster, repository: &Path, certificates: &Path) -> Self {
        let dir = TempDir::new().expect("a directory for the git host");
        for file in [tls::CERTIFICATE, tls::KEY, tls::AUTHORITY] {
            let _ = fs::copy(certificates.join(file), dir.path().join(file)).expect("copy a certificate");
        }
        let apache = cluster.command(&system("apache2", "apache2-bin"));
        Self::serve(apache, repository, at(&cluster.address()), dir)
    }

    fn serve(mut apache: Command, repository: &Path, address: String, dir: TempDir) -> Self {
        copy(repository, dir.path());
        write(&dir.path().join("htpasswd"), &htpasswd::line(USER, PASSWORD));
        write(&dir.path().join("credentials"), &login(&address));
        let config = dir.path().join("apache.conf");
        write(&config, &configuration(dir.path(), &address));
        // Apache kills its whole process group when it ends, so it needs one of its own.
        apache.arg("-DFOREGROUND").arg("-f").arg(&config).process_group(0);
        let process = Process::spawn("apache2", &mut apache, &dir.path().join("log"));
        Self { _process: process, dir, address }
    }

    /// Returns the base URL of a host that serves a cluster from `address`.
    #[must_use]
    pub fn url_at(address: &str) -> String {
        format!("https://{}", at(address))
    }

    /// Returns user and password of a host that serves a cluster from `address`, in git's credential format.
    #[must_use]
    pub fn login_at(address: &str) -> String {
        login(&at(address))
    }

    /// Returns the base URL of the repository.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Returns the certificate of the authority that signed the host's certificate.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.dir.path().join(tls::AUTHORITY)
    }

    /// Returns a file with user and password in git's credential format.
    #[must_use]
    pub fn credentials(&self) -> PathBuf {
        self.dir.path().join("credentials")
    }
}

/// Copies the repository for the user `nobody`: git refuses one that another user owns.
fn copy(repository: &Path, into: &Path) {
    fs::set_permissions(into, Permissions::from_mode(0o755)).expect("let nobody read the directory");
    let name = repository.file_name().expect("a repository's name");
    let copy = into.join("repositories").join(name);
    run(Command::new("git").args(["clone", "--quiet", "--bare"]).arg(repository).arg(&copy));
    run(Command::new("chown").args(["--recursive", "nobody:nogroup"]).arg(copy));
}

fn at(address: &str) -> String {
    format!("{address}:{PORT_IN_CLUSTER}")
}

fn login(address: &str) -> String {
    format!("https://{USER}:{PASSWORD}@{address}\n")
}

fn configuration(dir: &Path, address: &str) -> String {
    let here = dir.display();
    let modules =
        ["mpm_prefork", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "alias"];
    let more_modules = ["cgi", "env", "ssl"];
    let load = |name: &&str| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n");
    let modules: String = modules.iter().chain(&more_modules).map(load).collect();
    let certificate = tls::CERTIFICATE;
    let key = tls::KEY;
    format!(
        "{modules}ServerName 127.0.0.1\nListen {address}\nUser nobody\nGroup nogroup\n\
         ServerRoot {here}\nDefaultRuntimeDir {here}\nPidFile {here}/pid\nErrorLog {here}/error.log\nSSLEngine on\n\
         SSLCertificateFile {here}/{certificate}\nSSLCertificateKeyFile {here}/{key}\n\
         SetEnv GIT_PROJECT_ROOT {here}/repositories\nSetEnv GIT_HTTP_EXPORT_ALL 1\n\
         ScriptAlias / /usr/lib/git-core/git-http-backend/\n\
         <Location />\nAuthType Basic\nAuthName git\nAuthUserFile {here}/htpasswd\nRequire valid-user\n</Location>\n"
    )
}

fn write(file: &Path, text: &str) {
    fs::write(file, text).expect("write a file of the git host");
}

fn run(command: &mut Command) {
    let output = command.output().expect("run a program");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
