//! Whole runs.

use trackyard_router::dispatch::Sabotage;

use crate::world::{Report, World};

/// Simulated seconds of trouble in one run; the world is healed after, and must come to rest.
const SECONDS: u64 = 240;

fn run(seed: u64, sabotage: Option<Sabotage>) -> Report {
    World::new(seed, sabotage).run(SECONDS)
}

pub(crate) fn run_all(seeds: std::ops::Range<u64>) -> Vec<Report> {
    let runs = seeds.map(|seed| (seed, std::thread::spawn(move || run(seed, None))));
    let runs: Vec<_> = runs.collect();
    let report = |(seed, run): (u64, std::thread::JoinHandle<Report>)| {
        run.join().unwrap_or_else(|_| panic!("the run with seed {seed} panicked"))
    };
    runs.into_iter().map(report).collect()
}

/// A fault must be found: by a violation that says this.
pub(crate) fn assert_found(sabotage: Sabotage, word: &str) {
    let found = (100..106).find_map(|seed| {
        let violations = run(seed, Some(sabotage)).violations;
        violations.into_iter().find(|violation| violation.contains(word))
    });
    println!("{sabotage:?}: {found:?}");
    assert!(found.is_some(), "{sabotage:?} went unnoticed");
}
