//! One build's life: resolved → fetched → built → checked → released → result.

mod log;
mod smoke;

pub use log::Log;
