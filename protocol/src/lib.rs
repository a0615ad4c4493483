//! The protocol that Trackyard's parts and its clients share. It does no I/O, except in the modules `client` and `keys`
//! (features of these names).
//!
//! - validated names and values: [`name`], [`channel`], [`version`], [`uri`], [`quantity`], [`limits`], [`token`]
//! - requests and answers of clients: [`frame`], [`request`], [`answer`], [`build`]
//! - the reasons with which a request can end: [`reason`]
//! - the messages between routers and workers: [`worker`]
//! - keys and their rights: `keys`, `allowed`
//! - the sources of images and submissions: [`source`]

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
