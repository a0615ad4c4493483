//! What all reconciliations of pools share.

use kube::runtime::reflector::Store;
use trackyard_crds::WorkerPool;

use super::build::AgentSettings;
use super::dereference::Stores;
use super::rollout::Rollout;
use super::scale::Scaler;
use crate::backoff::Backoff;
use crate::load_report::LoadReports;
use crate::metrics::Metrics;
use crate::writer::Writer;

pub(super) struct Context {
    pub(super) writer: Writer,
    pub(super) settings: AgentSettings,
    pub(super) stores: Stores,
    pub(super) pools: Store<WorkerPool>,
    pub(super) load_reports: LoadReports,
    pub(super) scaler: Scaler,
    pub(super) rollout: Rollout,
    pub(super) backoff: Backoff,
    pub(super) metrics: Metrics,
}
