//! The router: takes jobs from clients, gives them to workers and answers.
//!
//! A job's way: `socket` (frames) → `actions` (a checked job, or a reply) → `dispatch` (who runs it, and what became
//! of it) → `service` (the answer) → `socket`. `service` is the one thread that owns the sockets and the dispatcher;
//! whatever waits for files or the network is done by the `clerk` elsewhere and comes back as a command.

pub mod actions;
mod args;
pub mod caller;
mod clerk;
#[cfg(feature = "cluster")]
pub mod cluster;
pub mod config;
pub mod deployed;
pub mod dispatch;
pub mod keyring;
pub mod metrics;
pub mod pools;
mod run;
pub mod service;
pub mod socket;
pub mod versions;

pub use args::{Args, Endpoint};
pub use run::{Error, run};
