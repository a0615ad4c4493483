//! Layers made by hand. Each is unpacked as a container would see it, or refused, and nothing is written outside.

mod evil;
pub(crate) mod fixtures;
mod layers;
