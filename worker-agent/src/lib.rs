//! placeholder
pub mod sandbox;
pub mod sys;
