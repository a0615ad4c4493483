//! The worker of Trackyard: prepares the container versions that its topics need, takes jobs from a router, runs each
//! in a sandbox and returns what it wrote.
//!
//! A job's path: `socket → connection → agent → job → input → sandbox → job → agent → connection → socket`. Decisions
//! are pure: `connection` (the exchange with the router), `versions::desired` (what to prepare), `trust` (what the
//! router may decide), `input` plans, `job` reports.

pub mod agent;
pub mod args;
pub mod bootstrap;
pub mod build;
pub mod canary;
pub mod configure;
pub mod connection;
pub mod doctor;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod input;
pub mod job;
pub mod metrics;
pub mod sandbox;
pub mod socket;
pub mod start;
pub mod store;
pub mod sys;
pub mod trust;
pub mod versions;
