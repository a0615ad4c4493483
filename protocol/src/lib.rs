//! The words that Trackyard's parts and its clients share. No I/O, but for the `client` and
//! `keys` modules (features of these names).
//!
//! - names that are checked once: [`name`], [`channel`], [`version`], [`uri`], [`quantity`], [`limits`], [`token`]
//! - what a client says and gets: [`frame`], [`request`], [`answer`], [`build`]
//! - how a request can end: [`reason`]
//! - what routers and workers say to each other: [`worker`]
//! - who somebody is, and what they may do: `keys`, `allowed`
//! - where images and submissions are: [`source`]

#[cfg(feature = "keys")]
pub mod allowed;
pub mod answer;
pub mod build;
pub mod channel;
#[cfg(feature = "client")]
pub mod client;
pub mod frame;
mod json;
#[cfg(feature = "keys")]
pub mod keys;
pub mod limits;
pub mod load_report;
pub mod name;
pub mod quantity;
pub mod reason;
pub mod request;
pub mod source;
mod text;
pub mod token;
pub mod uri;
pub mod version;
pub mod worker;
