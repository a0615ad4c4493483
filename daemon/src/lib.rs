//! What every long-running binary of Trackyard needs: logs, the admin port with liveness, readiness, metrics and
//! status, shutdown by signal, and the two clocks.
//!
//! Nothing here starts a thread before [`shutdown::Shutdown::on_signals`] or [`admin::Admin::serve`] is called inside
//! a runtime, so that a binary may arrange its namespaces first.

pub mod admin;
pub mod clock;
pub mod descriptors;
pub mod durable;
pub mod logs;
pub mod metrics;
pub mod process;
pub mod pulse;
pub mod readiness;
pub mod shutdown;
