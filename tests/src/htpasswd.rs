//! The files of passwords that docker-registry and Apache read. The password goes by a pipe: what programs are started with
//! is what tests search for secrets, those beside them too.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::binaries::system;

/// A line with the password's hash by bcrypt.
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
    input.write_all(password.as_bytes()).expect("tell htpasswd the password");
    drop(input);
    let output = program.wait_with_output().expect("run htpasswd");
    assert!(output.status.success(), "htpasswd ended with {}", output.status);
    String::from_utf8(output.stdout).expect("a line of htpasswd")
}
