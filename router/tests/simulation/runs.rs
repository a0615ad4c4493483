//! Whole runs.

use std::num::NonZero;
use std::ops::Range;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;

use trackyard_router::dispatch::Sabotage;

use crate::world::{Report, World};

/// Simulated seconds of trouble in one run; the world is healed after, and must come to rest.
const SECONDS: u64 = 240;

fn run(seed: u64, sabotage: Option<Sabotage>) -> Report {
    World::new(seed, sabotage).run(SECONDS)
}

/// The seeds of the environment's `SIMULATION_SEEDS`, such as `352..353` or `1000..2000`, else these.
pub(crate) fn seeds(usual: Range<u64>) -> Range<u64> {
    let Ok(chosen) = std::env::var("SIMULATION_SEEDS") else { return usual };
    let (from, to) = chosen.split_once("..").expect("SIMULATION_SEEDS is a range such as 1..25");
    from.parse().unwrap()..to.parse().unwrap()
}

/// False if a world or two are played again, in which not everything needs to happen.
pub(crate) fn all_are_played() -> bool {
    std::env::var_os("SIMULATION_SEEDS").is_none() || wanted().is_some()
}

/// How many jobs `SIMULATION_JOBS` asks for: seeds follow each other until there were so many.
fn wanted() -> Option<usize> {
    Some(std::env::var("SIMULATION_JOBS").ok()?.parse().expect("SIMULATION_JOBS is a number"))
}

/// Runs all seeds, on as many threads as there are processors.
pub(crate) fn run_all(seeds: Range<u64>) -> Vec<Report> {
    let wanted = wanted();
    let next = AtomicU64::new(seeds.start);
    let reports: Mutex<Vec<Report>> = Mutex::new(Vec::new());
    let is_enough = |seed: u64| match wanted {
        Some(jobs) => reports.lock().unwrap().iter().map(|report| report.saw("jobs")).sum::<usize>() >= jobs,
        None => seed >= seeds.end,
    };
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if is_enough(seed) {
                return;
            }
            let report = catch_unwind(|| run(seed, None));
            let report = report.unwrap_or_else(|_| panic!("the run with seed {seed} panicked"));
            reports.lock().unwrap().push(report);
        }
    };
    let threads = available_parallelism().map_or(2, NonZero::get);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    reports.into_inner().unwrap()
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
