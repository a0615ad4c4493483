//! Jobs: received → slot prepared → submission fetched → run → result.

mod context;
mod report;
mod run;

pub use report::MAX_RESULT_BYTES;
#[cfg(test)]
pub(crate) use run::outcome_without_run;
pub use run::{FinishedJob, JobTask};
