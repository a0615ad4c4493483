//! Private git hosts: Apache with TLS and a password in front of `git http-backend`, and OpenSSH's server.

mod https;
mod ssh;

pub use https::{HttpsHost, PASSWORD, PORT_IN_CLUSTER};
pub use ssh::SshHost;
