//! The router: takes jobs from clients, dispatches them to workers, and answers.
//!
//! A job's path: `socket` (frames) → `actions` (a checked job, or a reply) → `dispatch` (which worker runs it, and how
//! it ended) → `service` (the answer) → `socket`. `service` is the one thread that owns the sockets and the dispatcher.
//! Tasks that wait for files or the network run in the `io_worker` and come back as a command.
//!
//! The modules stand one above the other: `deployed` < `dispatch` < `config` < `versions` < `cluster` < `service`.

pub mod actions;
mod args;
pub mod caller;
#[cfg(feature = "cluster")]
pub mod cluster;
pub mod config;
pub mod deployed;
pub mod dispatch;
mod io_worker;
pub mod keyring;
pub mod metrics;
pub mod pools;
pub mod reload;
mod run;
pub mod service;
pub mod socket;
pub mod versions;

pub use args::{Args, Endpoint};
pub use run::{Error, run};
