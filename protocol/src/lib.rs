//! The words that Trackyard's parts and its clients share. No I/O, but for the `client` module (feature `client`).
//!
//! - names that are checked once: [`name`], [`channel`], [`version`], [`uri`], [`quantity`], [`limits`]
//! - how a request can end: [`reason`]
//! - where images and submissions are: [`source`]

pub mod channel;
pub mod limits;
pub mod name;
pub mod quantity;
pub mod reason;
pub mod source;
pub mod uri;
pub mod version;
