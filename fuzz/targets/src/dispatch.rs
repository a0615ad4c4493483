//! The router's dispatcher, fed with any events in any order, as far as its edge could give them.

use std::time::Duration;

use arbitrary::{Result, Unstructured};
use trackyard_router::dispatch::{Deployment, Event};

use crate::world::World;

/// As many events as a short input holds; the time of a run is bounded by it.
const EVENTS: usize = 400;

/// Every request gets exactly one answer, nobody is told anything by a dead connection, and all sums stay in bounds.
pub fn run(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    let mut world = World::new();
    for _ in 0..EVENTS {
        if input.is_empty() || step(&mut world, &mut input).is_err() {
            break;
        }
        world.check();
    }
    world.finish();
}

fn step(world: &mut World, input: &mut Unstructured<'_>) -> Result<()> {
    match input.int_in_range(0..=15)? {
        0..=3 => world.ask(input),
        4..=9 => world.hear(input),
        10 => world.lose(input),
        11 | 12 => {
            let millis = input.int_in_range(0..=4000)?;
            world.pass(Duration::from_millis(millis));
            Ok(())
        }
        13 => {
            let versions = world.versions(input)?;
            world.on(Event::Deployed(Deployment(versions)));
            Ok(())
        }
        14 => {
            let settings = world.settings(input)?;
            world.on(Event::Settings(Box::new(settings)));
            Ok(())
        }
        _ => {
            let event = match input.int_in_range(0..=3)? {
                0 => Event::Tick,
                1 => Event::Stalled { by: Duration::from_millis(input.int_in_range(0..=10_000)?) },
                2 => Event::RestartWorkers,
                _ => Event::Drain,
            };
            world.on(event);
            Ok(())
        }
    }
}
