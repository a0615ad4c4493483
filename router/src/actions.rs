//! What to do with a client's message. Pure: a message and what the router knows go in, a [`Decision`] comes out.
//!
//! The checks run in a fixed order: the message's shape (502, 501), the caller's role (506), the fields' values (400),
//! then whether the track (502) and the version (505) are there.

mod build;
mod configure;
mod decide;
mod job;
mod key;
mod reply;
#[cfg(test)]
mod tests;
mod views;

pub use decide::{Decided, Decision, Errand, World, decide};
pub use reply::Reply;
pub(crate) use views::container_versions;
