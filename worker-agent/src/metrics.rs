//! The metrics of a worker.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use trackyard_protocol::worker::{DecodeError, JobResult, Usage, Verdict};

/// Buckets from 5 ms to a minute.
const DURATION_BUCKETS_SECONDS: [f64; 13] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0];

/// The labels of ended jobs. Both values come from the closed list of reasons.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabels {
    code: u16,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProblemLabel {
    problem: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: &'static str,
}

/// The metrics. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct WorkerMetrics {
    jobs: Family<JobLabels, Counter>,
    returned: Counter,
    durations: Durations,
    malformed: Family<ProblemLabel, Counter>,
    reopened: Counter,
    canary_failures: Counter,
    /// Slots of this worker.
    pub slots: Gauge,
    /// Running jobs.
    pub busy: Gauge,
    /// Results that the router has not acknowledged yet.
    pub unacknowledged: Gauge,
    /// Ready versions.
    pub versions_ready: Gauge,
    /// Desired versions.
    pub versions_desired: Gauge,
    /// 1 while the router has accepted this worker.
    pub connected: Gauge,
}

#[derive(Debug, Clone)]
struct Durations(Family<PhaseLabel, Histogram, fn() -> Histogram>);

impl Default for Durations {
    fn default() -> Self {
        Self(Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS_SECONDS)))
    }
}

impl WorkerMetrics {
    /// Registers all metrics.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let m = metrics.clone();
        registry.register("worker_jobs", "Jobs that ended, by verdict", m.jobs);
        registry.register("worker_jobs_returned", "Jobs returned without a verdict", m.returned);
        registry.register("worker_job_seconds", "Duration of jobs, by phase", m.durations.0);
        registry.register("worker_messages_malformed", "Malformed messages of the router", m.malformed);
        registry.register("worker_connections_reopened", "Lost connections", m.reopened);
        registry.register("worker_canaries_failed", "Canaries that failed", m.canary_failures);
        registry.register("worker_slots", "Slots of this worker", m.slots);
        registry.register("worker_slots_busy", "Slots with a job", m.busy);
        registry.register("worker_results_unacknowledged", "Results not acknowledged", m.unacknowledged);
        registry.register("worker_versions_ready", "Ready container versions", m.versions_ready);
        registry.register("worker_versions_desired", "Desired container versions", m.versions_desired);
        registry.register("worker_connected", "1 while a router has accepted this worker", m.connected);
        metrics
    }

    /// Counts a job that ended with a verdict.
    pub fn job_ended(&self, result: &JobResult) {
        let JobResult { verdict, usage, .. } = result;
        self.jobs.get_or_create(&job_labels(verdict)).inc();
        let Usage { setup_ms, launch_ms, wall_ms, .. } = usage;
        for (phase, millis) in [("setup", setup_ms), ("launch", launch_ms), ("wall", wall_ms)] {
            let seconds = Duration::from_millis(*millis).as_secs_f64();
            self.durations.0.get_or_create(&PhaseLabel { phase }).observe(seconds);
        }
    }

    /// Counts a job that was returned to the router.
    pub fn job_returned(&self) {
        self.returned.inc();
    }

    /// Counts a malformed message.
    pub fn message_malformed(&self, error: &DecodeError) {
        self.malformed.get_or_create(&ProblemLabel { problem: error.as_str() }).inc();
    }

    /// Counts a lost connection.
    pub fn connection_reopened(&self) {
        self.reopened.inc();
    }

    /// Counts a failed canary.
    pub fn canary_failed(&self) {
        self.canary_failures.inc();
    }
}

fn job_labels(verdict: &Verdict) -> JobLabels {
    let reason = verdict.known_reason();
    JobLabels { code: reason.code(), reason: reason.as_str() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trackyard_protocol::reason::Reason;
    use trackyard_protocol::token::{Epoch, JobKey, Token};

    fn too_long() -> JobResult {
        JobResult {
            token: Token { epoch: Epoch(1), sequence: 1 },
            key: JobKey(1),
            verdict: Verdict::new(Reason::WallTime, ""),
            usage: Usage { wall_ms: 1500, ..Usage::default() },
            response: Vec::new(),
            context: Vec::new(),
        }
    }

    #[test]
    fn jobs_are_counted_by_verdict() {
        let mut registry = Registry::default();
        let metrics = WorkerMetrics::register(&mut registry);
        metrics.job_ended(&too_long());
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains(r#"worker_jobs_total{code="401",reason="wall_time"} 1"#), "{text}");
        assert!(text.contains(r#"worker_job_seconds_sum{phase="wall"} 1.5"#), "{text}");
    }

    #[test]
    fn every_metric_is_in_the_reference() {
        let reference = include_str!("../../docs/reference.md");
        let mut registry = trackyard_daemon::metrics::Metrics::registry("worker", "0");
        let metrics = WorkerMetrics::register(&mut registry);
        metrics.job_ended(&too_long());
        metrics.message_malformed(&DecodeError::Packed);
        let own = trackyard_daemon::metrics::Metrics::new(registry).names().unwrap();
        assert_eq!(own.len(), 12, "{own:?}");
        for name in own {
            assert!(reference.contains(&format!("\n| `{name}` | ")), "{name}");
        }
    }
}
