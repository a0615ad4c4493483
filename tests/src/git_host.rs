//! Git hosts as companies have them: Apache with TLS and a password before `git http-backend`, and OpenSSH's server.

mod https;
mod ssh;

pub use https::{HttpsHost, PASSWORD, PORT_IN_CLUSTER};
pub use ssh::SshHost;
