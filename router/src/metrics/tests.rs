use trackyard_protocol::token::Epoch;

use super::*;
use crate::dispatch::Totals;

const REFERENCE: &str = include_str!("../../../docs/reference.md");

#[test]
fn every_metric_is_in_the_reference() {
    let mut registry = trackyard_daemon::metrics::Metrics::registry("router", "0");
    let metrics = RouterMetrics::register(&mut registry);
    metrics.answered(None, Reason::Ok, Duration::ZERO);
    metrics.undecodable(&DecodeError::Packed);
    metrics.config_edited(Look::Applied);
    metrics.allowed_edited(Look::Applied);
    let totals = Totals::default();
    let (workers, queues) = (Vec::new(), Vec::new());
    metrics.show(&Snapshot { epoch: Epoch(1), recovering: false, draining: false, workers, queues, totals });
    let own = trackyard_daemon::metrics::Metrics::new(registry).names().unwrap();
    assert_eq!(own.len(), 18, "{own:?}");
    for name in own {
        assert!(REFERENCE.contains(&format!("\n| `{name}` | ")), "{name}");
    }
}

#[test]
fn every_event_is_in_the_reference() {
    for event in Counter::iter().map(<&str>::from) {
        assert!(REFERENCE.contains(&format!("\n| `{event}` | ")), "{event}");
    }
}
