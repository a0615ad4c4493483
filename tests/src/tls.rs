//! Creates a certificate authority, and a certificate for the addresses at which tests and pods reach this machine.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::binaries::system;
use crate::cluster::NODE;

/// File name of the authority's certificate.
pub const AUTHORITY: &str = "authority.pem";
/// File name of the server's certificate.
pub const CERTIFICATE: &str = "server.pem";
/// File name of the server's key.
pub const KEY: &str = "server.key";

/// Returns the extensions of a certificate for this machine.
fn extensions() -> String {
    let external = std::env::var("TRACKYARD_E2E_ADDRESS").map(|address| format!(",IP:{address}"));
    let external = external.unwrap_or_default();
    format!("subjectAltName=IP:127.0.0.1,IP:{NODE}{external}\nbasicConstraints=CA:FALSE\n")
}

/// Creates the three files in `dir`.
///
/// # Panics
/// When openssl is missing or fails.
pub fn make(dir: &Path) {
    fs::write(dir.join("extensions"), extensions()).expect("write the certificate's extensions");
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-batch", "-subj"];
    let authority = ["req", "-x509", "-days", "2", "-keyout", "authority.key", "-out", AUTHORITY];
    openssl(dir, &[&authority[..], &key, &["/CN=authority of tests"]].concat());
    let request = ["req", "-keyout", KEY, "-out", "server.csr"];
    openssl(dir, &[&request[..], &key, &["/CN=127.0.0.1"]].concat());
    let sign = ["x509", "-req", "-days", "1", "-in", "server.csr", "-out", CERTIFICATE, "-CA", AUTHORITY];
    let with = ["-CAkey", "authority.key", "-CAcreateserial", "-extfile", "extensions"];
    openssl(dir, &[&sign[..], &with].concat());
}

fn openssl(dir: &Path, args: &[&str]) {
    let output = Command::new(system("openssl", "openssl")).args(args).current_dir(dir).output();
    let output = output.expect("run openssl");
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
}
