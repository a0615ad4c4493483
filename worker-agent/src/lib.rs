//! The parts of `trackyard-worker`.

pub mod store;
