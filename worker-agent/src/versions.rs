//! The container versions that this worker must have, and their preparation.

pub mod desired;
pub mod prepare;
