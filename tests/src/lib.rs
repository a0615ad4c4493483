//! Support for the integration tests: the real binaries as processes, real S3 and registry servers, tiny tooling images,
//! and a fake worker that speaks the protocol but runs nothing. Everything started here ends when its value is dropped,
//! also when a test panics.
#![expect(clippy::panic, reason = "test support fails the test that uses it")]

pub mod audit;
pub mod binaries;
pub mod cgroups;
pub mod chaos;
pub mod cluster;
pub mod config;
pub mod connectivity;
pub mod control_plane;
pub mod docs;
pub mod ecr_stub;
pub mod fake_worker;
pub mod git_host;
mod htpasswd;
pub mod http;
pub mod image;
pub mod layout;
pub mod leftovers;
pub mod platform;
pub mod pod;
pub mod ports;
pub mod process;
pub mod registry;
pub mod request;
pub mod resource_rules;
pub mod rig;
pub mod router;
pub mod s3;
pub mod schemas;
pub mod serial;
pub mod stage;
pub mod tls;
pub mod tooling;
pub mod wait;
pub mod worker;
