use trackyard_protocol::token::Epoch;

use super::*;
use crate::dispatch::Totals;

const REFERENCE: &str = include_str!("../../../docs/reference.md");

#[test]
fn reference_lists_every_metric() {
    let mut registry = trackyard_daemon::metrics::Metrics::registry("router", "0");
    let metrics = RouterMetrics::register(&mut registry);
    metrics.answered(None, Reason::Ok, Duration::ZERO);
    metrics.malformed(&DecodeError::Packed);
    metrics.config_edited(ReloadOutcome::Applied);
    metrics.allowed_edited(ReloadOutcome::Applied);
    let totals = Totals::default();
    let workers = Vec::new();
    let queues = Vec::new();
    metrics.set_gauges(&Snapshot {
        epoch: Epoch(1),
        recovering: false,
        draining: false,
        workers,
        queues,
        totals,
    });
    let own = trackyard_daemon::metrics::Metrics::new(registry).names().unwrap();
    assert_eq!(own.len(), 18, "{own:?}");
    for name in own {
        assert!(REFERENCE.contains(&format!("\n| `{name}` | ")), "{name}");
    }
}

#[test]
fn reference_lists_every_event() {
    for event in Counter::iter().map(<&str>::from) {
        assert!(REFERENCE.contains(&format!("\n| `{event}` | ")), "{event}");
    }
}
