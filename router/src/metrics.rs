//! The router's metrics. Labels come from closed sets: nothing that a peer sends becomes one.

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

use crate::config::Look;
use crate::dispatch::{Counter, Snapshot};
use crate::socket::{Closed, PortKind};
use labels::{ByChannel, ByPort, ClosedLabels, Event, Outcome, Request, Word};

/// The router's metrics; clones are the same ones.
#[derive(Debug, Clone)]
pub struct RouterMetrics {
    requests: Family<Request, Count>,
    /// Those of each action and reason that were met, so that an answer need not look for its labels.
    answers: Arc<[[OnceLock<Count>; Reason::COUNT]]>,
    request_seconds: Histogram,
    queue_seconds: Histogram,
    events: Family<Event, Count>,
    /// Those of each [`Counter`], in order: they are counted several times for each job.
    counts: Vec<Count>,
    undecodable: Family<Word, Count>,
    closed: Family<ClosedLabels, Count>,
    refused_keys: Family<ByPort, Count>,
    undelivered: Count,
    withheld: Count,
    stalls: Count,
    config_edits: Family<Outcome, Count>,
    allowed_edits: Family<Outcome, Count>,
    waiting_jobs: Family<ByChannel, Gauge>,
    waiting_bytes: Gauge,
    workers: Family<ByChannel, Gauge>,
    slots: Family<ByChannel, Gauge>,
    slots_busy: Family<ByChannel, Gauge>,
    stored_bytes: Gauge,
}

impl RouterMetrics {
    /// Registers all of them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::new();
        metrics.register_counts(registry);
        metrics.register_gauges(registry);
        metrics.touch();
        metrics
    }

    fn new() -> Self {
        let events = Family::default();
        let count = |event: Counter| Count::clone(&events.get_or_create(&Event { event: event.into() }));
        Self {
            counts: Counter::iter().map(count).collect(),
            requests: Family::default(),
            answers: (0..=Action::iter().count())
                .map(|_| [const { OnceLock::new() }; Reason::COUNT])
                .collect(),
            request_seconds: Histogram::new(exponential_buckets(0.0001, 4.0, 11)),
            queue_seconds: Histogram::new(exponential_buckets(0.001, 3.0, 10)),
            events,
            undecodable: Family::default(),
            closed: Family::default(),
            refused_keys: Family::default(),
            undelivered: Count::default(),
            withheld: Count::default(),
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
        to.register("requests", "Answers by action, status code and reason", self.requests.clone());
        let text = "From a request's receipt to its answer";
        to.register_with_unit("request", text, Unit::Seconds, self.request_seconds.clone());
        let text = "From a job's receipt to its dispatch";
        to.register_with_unit("queue", text, Unit::Seconds, self.queue_seconds.clone());
        to.register("dispatch_events", "What the dispatcher counted", self.events.clone());
        to.register("undecodable", "Messages of workers that were not understood", self.undecodable.clone());
        to.register("connections_closed", "Connections that ended, and who ended them", self.closed.clone());
        to.register("undelivered", "Answers whose client was gone or did not read", self.undelivered.clone());
        to.register(
            "withheld",
            "Answers refused because others fill the memory unread",
            self.withheld.clone(),
        );
        to.register("stalls", "Times when this process did not run for over a second", self.stalls.clone());
        to.register("config_edits", "Edits of the configuration's file", self.config_edits.clone());
        to.register("allowed_edits", "Edits of the list of allowed keys", self.allowed_edits.clone());
        let text = "Connections, and messages on open ones, whose key is not allowed";
        to.register("refused_keys", text, self.refused_keys.clone());
    }

    fn register_gauges(&self, to: &mut Registry) {
        to.register("waiting_jobs", "Jobs that wait for a slot", self.waiting_jobs.clone());
        to.register("waiting_bytes", "Bytes of the requests that wait", self.waiting_bytes.clone());
        to.register("workers", "Connected workers", self.workers.clone());
        to.register("slots", "Slots of connected workers", self.slots.clone());
        to.register("slots_busy", "Slots with a job", self.slots_busy.clone());
        to.register("stored_answer_bytes", "Answers kept for repeated requests", self.stored_bytes.clone());
    }

    /// Makes the small sets exist from the start, so that a rate over them is right from the first event on.
    fn touch(&self) {
        for port in PortKind::iter() {
            drop(self.refused_keys.get_or_create(&ByPort { port: port.into() }));
            for by in Closed::iter() {
                drop(self.closed.get_or_create(&ClosedLabels { port: port.into(), by: by.into() }));
            }
        }
    }

    /// A request was answered, so long after its receipt.
    pub fn answered(&self, action: Option<Action>, reason: Reason, took: Duration) {
        let of_action = self.answers.get(action.map_or(0, |action| 1 + action as usize));
        match of_action.and_then(|counts| counts.get(reason as usize)) {
            Some(count) => _ = count.get_or_init(|| self.request(action, reason)).inc(),
            None => _ = self.request(action, reason).inc(),
        }
        self.request_seconds.observe(took.as_secs_f64());
    }

    fn request(&self, action: Option<Action>, reason: Reason) -> Count {
        let action = action.map_or("none", <&str>::from);
        let labels = Request { action, code: reason.code(), reason: reason.as_str() };
        Count::clone(&self.requests.get_or_create(&labels))
    }

    /// A job that had waited so long was answered.
    pub fn queued(&self, queue_ms: u64) {
        self.queue_seconds.observe(Duration::from_millis(queue_ms).as_secs_f64());
    }

    /// The dispatcher counted something.
    pub fn count(&self, event: Counter) {
        if let Some(count) = self.counts.get(event as usize) {
            count.inc();
        }
    }

    /// A worker's message was not understood.
    pub fn undecodable(&self, error: &DecodeError) {
        self.undecodable.get_or_create(&Word { word: error.as_str() }).inc();
    }

    /// A connection ended.
    pub fn closed(&self, port: PortKind, by: Closed) {
        self.closed.get_or_create(&ClosedLabels { port: port.into(), by: by.into() }).inc();
    }

    /// An answer could not be delivered.
    pub fn undelivered(&self) {
        self.undelivered.inc();
    }

    /// An answer was refused for want of memory.
    pub fn withheld(&self) {
        self.withheld.inc();
    }

    /// This process did not run for over a second.
    pub fn stalled(&self) {
        self.stalls.inc();
    }

    /// The configuration's file was edited.
    pub fn config_edited(&self, look: Look) {
        self.config_edits.get_or_create(&Outcome { outcome: look.into() }).inc();
    }

    /// The list of allowed keys was edited.
    pub fn allowed_edited(&self, look: Look) {
        self.allowed_edits.get_or_create(&Outcome { outcome: look.into() }).inc();
    }

    /// Somebody connected, or sent something, with a key that is not allowed.
    pub fn refused_key(&self, port: PortKind) {
        self.refused_keys.get_or_create(&ByPort { port: port.into() }).inc();
    }

    /// Takes what the dispatcher holds into the gauges.
    pub fn show(&self, snapshot: &Snapshot) {
        for channel in Channel::iter() {
            let label = ByChannel { channel: channel.as_str() };
            let set = |family: &Family<ByChannel, Gauge>, value: usize| {
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
