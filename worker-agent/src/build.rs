//! One build's life: resolved → fetched → built → checked → released → result.

mod failed;
mod log;
mod report;
mod run;
mod shelf;
mod smoke;
mod workshop;

pub use log::Log;
pub use run::Task;
pub use shelf::Shelf;
pub use workshop::{Bench, Workshop};
