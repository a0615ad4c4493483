//! Every metric of the operator.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// From a thousandth of a second to half a minute.
const SECONDS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// The word comes from the closed list of reasons.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    reason: &'static str,
}

/// The metrics. Clones are the same metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    seconds: Histogram,
    failures: Family<Failure, Counter>,
    unreadable: Counter,
    leader: Gauge,
}

impl Metrics {
    /// Registers all.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            seconds: Histogram::new(SECONDS),
            failures: Family::default(),
            unreadable: Counter::default(),
            leader: Gauge::default(),
        };
        let m = metrics.clone();
        registry.register("operator_reconcile_seconds", "How long reconciling a pool took", m.seconds);
        registry.register("operator_reconcile_failures", "Pools not reconciled, by reason", m.failures);
        registry.register("operator_unreadable", "Stored pools that could not be read", m.unreadable);
        registry.register("operator_leader", "1 while this operator writes", m.leader);
        metrics
    }

    /// Whether this operator holds the lease.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// A pool was looked at.
    pub fn reconciled(&self, took: Duration, failed: Option<&'static str>) {
        self.seconds.observe(took.as_secs_f64());
        if let Some(reason) = failed {
            self.failures.get_or_create(&Failure { reason }).inc();
        }
    }

    /// A pool could not be read.
    pub fn unreadable(&self) {
        self.unreadable.inc();
    }
}
