//! The deployed versions and where they are kept.

mod deployed;

pub use deployed::{Deployed, PlaceRef};
