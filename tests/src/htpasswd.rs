//! Writes password files for docker-registry and Apache. The password goes through a pipe, because tests search the
//! command lines of all processes for secrets.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::binaries::system;

/// Returns a line with the user and the password's bcrypt hash.
///
/// # Panics
/// When htpasswd is missing or fails.
pub(crate) fn line(user: &str, password: &str) -> String {
    let mut program = Command::new(system("htpasswd", "apache2-utils"))
        .args(["-niB", user])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("start htpasswd");
    let mut input = program.stdin.take().expect("a pipe to htpasswd");
    input.write_all(password.as_bytes()).expect("write the password to htpasswd");
    drop(input);
    let output = program.wait_with_output().expect("run htpasswd");
    assert!(output.status.success(), "htpasswd ended with {}", output.status);
    String::from_utf8(output.stdout).expect("a line of htpasswd")
}
