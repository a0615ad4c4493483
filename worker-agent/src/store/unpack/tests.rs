//! Layers made by hand: each is unpacked as a container would see it, or refused, and nothing ever lands outside.

mod evil;
mod layers;
pub(crate) mod maker;
