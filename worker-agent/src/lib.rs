//! The worker of Trackyard: prepares the container versions that its topics need, takes jobs from a router, runs each
//! in a sandbox and returns what it wrote.
//!
//! A job's way: `socket → connection → agent → job → input → sandbox → job → connection → socket`.

pub mod args;
pub mod bootstrap;
pub mod connection;
pub mod input;
pub mod sandbox;
pub mod socket;
pub mod store;
pub mod sys;
pub mod trust;
pub mod versions;
