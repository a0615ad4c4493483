//! The router's metrics. Labels come from closed sets: nothing that a peer sends becomes a label.

mod labels;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter as Count;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use strum::{EnumCount as _, IntoEnumIterator};
use trackyard_protocol::channel::Channel;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::Action;
use trackyard_protocol::worker::DecodeError;

use crate::dispatch::{Counter, Snapshot};
use crate::reload::ReloadOutcome;
use crate::socket::{CloseReason, PortKind};
use labels::{
    ChannelLabels, ClosedLabels, EventLabels, OutcomeLabels, PortLabels, ProblemLabels, RequestLabels,
};

/// The router's metrics; clones are the same ones.
#[derive(Debug, Clone)]
pub struct RouterMetrics {
    requests: Family<RequestLabels, Count>,
    /// The counts of `requests` by action and reason, cached so that an answer need not look up its labels.
    answers: Arc<[[OnceLock<Count>; Reason::COUNT]]>,
    request_seconds: Histogram,
    queue_seconds: Histogram,
    events: Family<EventLabels, Count>,
    /// The counts of `events` in the order of [`Counter`], cached because each job counts several.
    counts: Vec<Count>,
    malformed: Family<ProblemLabels, Count>,
    closed: Family<ClosedLabels, Count>,
    refused_keys: Family<PortLabels, Count>,
    undelivered: Count,
    shed: Count,
    stalls: Count,
    config_edits: Family<OutcomeLabels, Count>,
    allowed_edits: Family<OutcomeLabels, Count>,
    waiting_jobs: Family<ChannelLabels, Gauge>,
    waiting_bytes: Gauge,
    workers: Family<ChannelLabels, Gauge>,
    slots: Family<ChannelLabels, Gauge>,
    slots_busy: Family<ChannelLabels, Gauge>,
    stored_bytes: Gauge,
}

impl RouterMetrics {
    /// Registers all metrics.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::new();
        metrics.register_counts(registry);
        metrics.register_gauges(registry);
        metrics.create_port_labels();
        metrics
    }

    fn new() -> Self {
        let events = Family::default();
        let count =
            |event: Counter| Count::clone(&events.get_or_create(&EventLabels { event: event.into() }));
        Self {
            counts: Counter::iter().map(count).collect(),
            requests: Family::default(),
            answers: (0..=Action::iter().count())
                .map(|_| [const { OnceLock::new() }; Reason::COUNT])
                .collect(),
            request_seconds: Histogram::new(exponential_buckets(0.0001, 4.0, 11)),
            queue_seconds: Histogram::new(exponential_buckets(0.001, 3.0, 10)),
            events,
            malformed: Family::default(),
            closed: Family::default(),
            refused_keys: Family::default(),
            undelivered: Count::default(),
            shed: Count::default(),
            stalls: Count::default(),
            config_edits: Family::default(),
            allowed_edits: Family::default(),
            waiting_jobs: Family::default(),
            waiting_bytes: Gauge::default(),
            workers: Family::default(),
            slots: Family::default(),
            slots_busy: Family::default(),
            stored_bytes: Gauge::default(),
        }
    }

    fn register_counts(&self, to: &mut Registry) {
        let text = "Answers by action, status code and reason";
        to.register("router_requests", text, self.requests.clone());
        let text = "From a request's receipt to its answer";
        to.register_with_unit("router_request", text, Unit::Seconds, self.request_seconds.clone());
        let text = "From a job's receipt to its dispatch";
        to.register_with_unit("router_queue", text, Unit::Seconds, self.queue_seconds.clone());
        let text = "Events of jobs and workers";
        to.register("router_dispatch_events", text, self.events.clone());
        let text = "Messages of workers that were not understood";
        to.register("router_messages_malformed", text, self.malformed.clone());
        let text = "Connections that ended, and how";
        to.register("router_connections_closed", text, self.closed.clone());
        let text = "Answers whose client was gone or did not read";
        to.register("router_answers_undelivered", text, self.undelivered.clone());
        let text = "Answers refused because unread answers fill the memory";
        to.register("router_answers_shed", text, self.shed.clone());
        let text = "Times when this process did not run for over a second";
        to.register("router_stalls", text, self.stalls.clone());
        let text = "Edits of the configuration file";
        to.register("router_config_edits", text, self.config_edits.clone());
        let text = "Edits of the list of allowed keys";
        to.register("router_allowed_edits", text, self.allowed_edits.clone());
        let text = "Connections, and messages on open ones, whose key is not allowed";
        to.register("router_keys_refused", text, self.refused_keys.clone());
    }

    fn register_gauges(&self, to: &mut Registry) {
        to.register("router_jobs_waiting", "Jobs that wait for a slot", self.waiting_jobs.clone());
        let text = "Bytes of the jobs that wait for a slot";
        to.register("router_jobs_waiting_bytes", text, self.waiting_bytes.clone());
        to.register("router_workers", "Connected workers", self.workers.clone());
        to.register("router_slots", "Slots of connected workers", self.slots.clone());
        to.register("router_slots_busy", "Slots with a job", self.slots_busy.clone());
        let text = "Bytes of the answers that are kept for repeated requests";
        to.register("router_answers_stored_bytes", text, self.stored_bytes.clone());
    }

    /// Creates the series with few labels at the start, so that a rate over them is right from the first event on.
    fn create_port_labels(&self) {
        for port in PortKind::iter() {
            drop(self.refused_keys.get_or_create(&PortLabels { port: port.into() }));
            for by in CloseReason::iter() {
                drop(self.closed.get_or_create(&ClosedLabels { port: port.into(), by: by.into() }));
            }
        }
    }

    /// Counts an answered request, and the time since its receipt.
    pub fn answered(&self, action: Option<Action>, reason: Reason, took: Duration) {
        let by_reason = self.answers.get(action.map_or(0, |action| 1 + action as usize));
        match by_reason.and_then(|counts| counts.get(reason as usize)) {
            Some(count) => _ = count.get_or_init(|| self.request(action, reason)).inc(),
            None => _ = self.request(action, reason).inc(),
        }
        self.request_seconds.observe(took.as_secs_f64());
    }

    fn request(&self, action: Option<Action>, reason: Reason) -> Count {
        let action = action.map_or("none", <&str>::from);
        let labels = RequestLabels { action, code: reason.code(), reason: reason.as_str() };
        Count::clone(&self.requests.get_or_create(&labels))
    }

    /// Observes how long an answered job had waited in the queue.
    pub fn queued(&self, queue_ms: u64) {
        self.queue_seconds.observe(Duration::from_millis(queue_ms).as_secs_f64());
    }

    /// Counts an event of the dispatcher.
    pub fn count(&self, event: Counter) {
        if let Some(count) = self.counts.get(event as usize) {
            count.inc();
        }
    }

    /// Counts a worker's message that was not understood.
    pub fn malformed(&self, error: &DecodeError) {
        self.malformed.get_or_create(&ProblemLabels { problem: error.as_str() }).inc();
    }

    /// Counts a connection that ended.
    pub fn closed(&self, port: PortKind, by: CloseReason) {
        self.closed.get_or_create(&ClosedLabels { port: port.into(), by: by.into() }).inc();
    }

    /// Counts an answer that could not be delivered.
    pub fn undelivered(&self) {
        self.undelivered.inc();
    }

    /// Counts an answer that was shed under memory pressure.
    pub fn shed(&self) {
        self.shed.inc();
    }

    /// Counts a pause of over a second in which this process did not run.
    pub fn stalled(&self) {
        self.stalls.inc();
    }

    /// Counts an edit of the configuration file.
    pub fn config_edited(&self, outcome: ReloadOutcome) {
        self.config_edits.get_or_create(&OutcomeLabels { outcome: outcome.into() }).inc();
    }

    /// Counts an edit of the list of allowed keys.
    pub fn allowed_edited(&self, outcome: ReloadOutcome) {
        self.allowed_edits.get_or_create(&OutcomeLabels { outcome: outcome.into() }).inc();
    }

    /// Counts a connection or a message with a key that is not allowed.
    pub fn refused_key(&self, port: PortKind) {
        self.refused_keys.get_or_create(&PortLabels { port: port.into() }).inc();
    }

    /// Sets the gauges to the state of the dispatcher.
    pub fn set_gauges(&self, snapshot: &Snapshot) {
        for channel in Channel::iter() {
            let label = ChannelLabels { channel: channel.as_str() };
            let set = |family: &Family<ChannelLabels, Gauge>, value: usize| {
                family.get_or_create(&label).set(i64::try_from(value).unwrap_or(i64::MAX));
            };
            let workers = || snapshot.workers.iter().filter(|worker| worker.channel == channel);
            let queues = snapshot.queues.iter().filter(|queue| queue.channel == channel);
            set(&self.workers, workers().count());
            set(&self.slots, workers().map(|w| usize::try_from(w.slots).unwrap_or(usize::MAX)).sum());
            set(&self.slots_busy, workers().map(|worker| worker.jobs.len()).sum());
            set(&self.waiting_jobs, queues.map(|queue| queue.jobs).sum());
        }
        let totals = &snapshot.totals;
        self.waiting_bytes.set(i64::try_from(totals.waiting_bytes).unwrap_or(i64::MAX));
        self.stored_bytes.set(i64::try_from(totals.stored_bytes).unwrap_or(i64::MAX));
    }
}
