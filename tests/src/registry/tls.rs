//! A certificate for 127.0.0.1, and the authority that signed it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::binaries::system;

/// The file of the authority, in the registry's folder.
pub(super) const AUTHORITY: &str = "authority.pem";

const EXTENSIONS: &str = "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";

/// Makes both; gives what the registry's configuration says of them.
pub(super) fn make(folder: &Path) -> String {
    fs::write(folder.join("extensions"), EXTENSIONS).expect("write the certificate's extensions");
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-batch", "-subj"];
    let authority = ["req", "-x509", "-days", "2", "-keyout", "authority.key", "-out", AUTHORITY];
    openssl(folder, &[&authority[..], &key, &["/CN=authority of tests"]].concat());
    let request = ["req", "-keyout", "server.key", "-out", "server.csr"];
    openssl(folder, &[&request[..], &key, &["/CN=127.0.0.1"]].concat());
    let sign = ["x509", "-req", "-days", "1", "-in", "server.csr", "-out", "server.pem", "-CA", AUTHORITY];
    let with = ["-CAkey", "authority.key", "-CAcreateserial", "-extfile", "extensions"];
    openssl(folder, &[&sign[..], &with].concat());
    let folder = folder.display();
    format!(", tls: {{certificate: {folder}/server.pem, key: {folder}/server.key}}")
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new(system("openssl", "openssl")).args(arguments).current_dir(folder).output();
    let output = output.expect("run openssl");
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
}
