//! Builds: resolved → fetched → built → checked → released → result.

mod failure;
mod log;
mod pages;
mod report;
mod run;
mod smoke;
mod workspace;

pub use log::LogBuffer;
pub use pages::BuildLogs;
pub use run::BuildTask;
pub use workspace::{BuildContext, BuildWorkspace};
