//! Every metric of a worker.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use trackyard_protocol::worker::{DecodeError, JobResult, Usage, Verdict};

/// From a thousandth of a second to a minute.
const SECONDS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0];

/// How jobs ended; both words come from the closed list of reasons.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ending {
    code: u16,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Problem {
    problem: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Part {
    part: &'static str,
}

/// The metrics. Clones are the same metrics.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    jobs: Family<Ending, Counter>,
    returned: Counter,
    durations: Durations,
    malformed: Family<Problem, Counter>,
    reopened: Counter,
    canaries_failed: Counter,
    /// Room for jobs.
    pub slots: Gauge,
    /// Jobs in hand.
    pub busy: Gauge,
    /// Results that the router does not have yet.
    pub unacknowledged: Gauge,
    /// Versions that jobs can be run with.
    pub versions_ready: Gauge,
    /// Versions that are wanted.
    pub versions_wanted: Gauge,
    /// 1 while a router knows this worker.
    pub connected: Gauge,
}

#[derive(Debug, Clone)]
struct Durations(Family<Part, Histogram, fn() -> Histogram>);

impl Default for Durations {
    fn default() -> Self {
        Self(Family::new_with_constructor(|| Histogram::new(SECONDS)))
    }
}

impl Metrics {
    /// Registers all.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let m = metrics.clone();
        registry.register("worker_jobs", "Jobs that ended, by verdict", m.jobs);
        registry.register("worker_jobs_returned", "Jobs given back without a verdict", m.returned);
        registry.register("worker_job_seconds", "How long jobs took, by part", m.durations.0);
        registry.register("worker_messages_malformed", "Messages not understood", m.malformed);
        registry.register("worker_connections_reopened", "Connections opened anew", m.reopened);
        registry.register("worker_canaries_failed", "Known good jobs that failed", m.canaries_failed);
        registry.register("worker_slots", "Room for jobs", m.slots);
        registry.register("worker_slots_busy", "Jobs in hand", m.busy);
        registry.register("worker_results_unacknowledged", "Results the router lacks", m.unacknowledged);
        registry.register("worker_versions_ready", "Container versions ready", m.versions_ready);
        registry.register("worker_versions_wanted", "Container versions wanted", m.versions_wanted);
        registry.register("worker_connected", "1 while a router knows this worker", m.connected);
        metrics
    }

    /// A job ended with a verdict.
    pub fn ended(&self, result: &JobResult) {
        let JobResult { verdict, usage, .. } = result;
        self.jobs.get_or_create(&ending(verdict)).inc();
        let Usage { setup_ms, launch_ms, wall_ms, .. } = usage;
        for (part, millis) in [("setup", setup_ms), ("launch", launch_ms), ("wall", wall_ms)] {
            let seconds = Duration::from_millis(*millis).as_secs_f64();
            self.durations.0.get_or_create(&Part { part }).observe(seconds);
        }
    }

    /// A job was given back.
    pub fn gave_back(&self) {
        self.returned.inc();
    }

    /// A message was not understood.
    pub fn malformed(&self, error: &DecodeError) {
        self.malformed.get_or_create(&Problem { problem: error.as_str() }).inc();
    }

    /// The connection was given up.
    pub fn reopened(&self) {
        self.reopened.inc();
    }

    /// The canary did not sing.
    pub fn canary_failed(&self) {
        self.canaries_failed.inc();
    }
}

fn ending(verdict: &Verdict) -> Ending {
    let reason = verdict.known_reason();
    Ending { code: reason.code(), reason: reason.as_str() }
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
        let metrics = Metrics::register(&mut registry);
        metrics.ended(&too_long());
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains(r#"worker_jobs_total{code="401",reason="wall_time"} 1"#), "{text}");
        assert!(text.contains(r#"worker_job_seconds_sum{part="wall"} 1.5"#), "{text}");
    }

    #[test]
    fn every_metric_is_in_the_reference() {
        let reference = include_str!("../../docs/reference.md");
        let mut registry = trackyard_daemon::metrics::Metrics::registry("worker", "0");
        let metrics = Metrics::register(&mut registry);
        metrics.ended(&too_long());
        metrics.malformed(&DecodeError::Packed);
        let own = trackyard_daemon::metrics::Metrics::new(registry).names().unwrap();
        assert_eq!(own.len(), 12, "{own:?}");
        for name in own {
            assert!(reference.contains(&format!("\n| `{name}` | ")), "{name}");
        }
    }
}
