//! Which container versions this worker must have, and making them ready.

pub mod desired;
pub mod prepare;
