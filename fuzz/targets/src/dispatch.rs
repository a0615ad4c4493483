//! The router's dispatcher, with all events in any order that its caller could deliver.

use std::time::Duration;

use arbitrary::{Result, Unstructured};
use trackyard_router::dispatch::{DeployedVersions, Event};

use crate::harness::Harness;

/// Maximum number of events, which bounds the duration of a run.
const MAX_EVENTS: usize = 400;

/// Checks that every request gets exactly one answer, that nothing is sent on a closed connection, and that all sums
/// stay within their bounds.
pub fn run(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    let mut harness = Harness::new();
    for _ in 0..MAX_EVENTS {
        if input.is_empty() || step(&mut harness, &mut input).is_err() {
            break;
        }
        harness.check();
    }
    harness.finish();
}

fn step(harness: &mut Harness, input: &mut Unstructured<'_>) -> Result<()> {
    match input.int_in_range(0..=15)? {
        0..=3 => harness.submit(input),
        4..=9 => harness.receive(input),
        10 => harness.disconnect(input),
        11 | 12 => {
            let millis = input.int_in_range(0..=4000)?;
            harness.advance(Duration::from_millis(millis));
            Ok(())
        }
        13 => {
            let versions = harness.versions(input)?;
            harness.on(Event::Deployed(DeployedVersions(versions)));
            Ok(())
        }
        14 => {
            let settings = harness.settings(input)?;
            harness.on(Event::Settings(Box::new(settings)));
            Ok(())
        }
        _ => {
            let event = match input.int_in_range(0..=3)? {
                0 => Event::Tick,
                1 => Event::Stalled { by: Duration::from_millis(input.int_in_range(0..=10_000)?) },
                2 => Event::RestartWorkers,
                _ => Event::Drain,
            };
            harness.on(event);
            Ok(())
        }
    }
}
