//! Every metric of the operator, but for the age of watches, which is [`crate::vitals`]'s.

mod missing;

use std::borrow::Cow;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::runtime::reflector::Store;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use self::missing::MissingPods;

/// From a thousandth of a second to half a minute.
const SECONDS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: Cow<'static, str>,
}

/// The word comes from the closed list of reasons.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    kind: Cow<'static, str>,
    reason: &'static str,
}

/// The metrics. Clones are the same metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    seconds: Family<Kind, Histogram>,
    failures: Family<Failure, Counter>,
    unreadable: Family<Kind, Counter>,
    leader: Gauge,
    missing: MissingPods,
}

impl Metrics {
    /// Registers all.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            failures: Family::default(),
            unreadable: Family::default(),
            leader: Gauge::default(),
            missing: MissingPods::default(),
        };
        let m = metrics.clone();
        registry.register("operator_reconcile_seconds", "How long reconciling an object took", m.seconds);
        registry.register("operator_reconcile_failures", "Objects not reconciled, by reason", m.failures);
        registry.register("operator_unreadable", "Stored objects that could not be read", m.unreadable);
        registry.register("operator_leader", "1 while this operator writes", m.leader);
        registry.register_collector(Box::new(m.missing));
        metrics
    }

    /// Whether this operator holds the lease.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// An object of a kind was looked at.
    pub fn reconciled(
        &self,
        kind: impl Into<Cow<'static, str>>,
        took: Duration,
        failed: Option<&'static str>,
    ) {
        let kind = kind.into();
        self.seconds.get_or_create(&Kind { kind: kind.clone() }).observe(took.as_secs_f64());
        if let Some(reason) = failed {
            self.failures.get_or_create(&Failure { kind, reason }).inc();
        }
    }

    /// An object of a kind could not be read.
    pub fn unreadable(&self, kind: impl Into<Cow<'static, str>>) {
        self.unreadable.get_or_create(&Kind { kind: kind.into() }).inc();
    }

    /// Tells of the pods that are missing, by the Deployments of pools.
    pub fn of_deployments(&self, deployments: &Store<Deployment>) {
        self.missing.of(deployments);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vitals::Vitals;

    #[test]
    fn every_metric_is_in_the_reference() {
        let reference = include_str!("../../docs/reference.md");
        let mut registry = trackyard_daemon::metrics::Metrics::registry("operator", "0");
        let metrics = Metrics::register(&mut registry);
        registry.register_collector(Box::new(Vitals::default()));
        metrics.reconciled("WorkerPool", Duration::ZERO, Some("NotOurs"));
        metrics.unreadable("WorkerPool");
        let own = trackyard_daemon::metrics::Metrics::new(registry).names().unwrap();
        assert_eq!(own.len(), 6, "{own:?}");
        for name in own {
            assert!(reference.contains(&format!("\n| `{name}` | ")), "{name}");
        }
    }
}
