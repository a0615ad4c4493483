//! A run, from its first process to its last check.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::check::{Violation, violations};
use super::client::{Office, lock, work};
use super::clock::Clock;
use super::figures::Figures;
use super::ledger::Ledger;
use super::plan::Plan;
use super::quiet;
use super::rest::Before;
use super::strike::Hand;
use super::yard::Yard;

/// Workers, and jobs that each runs at a time.
const SEATS: usize = 4;
const SLOTS: u32 = 4;
/// Clients, and requests that each has in flight: together fewer than there are slots, so that most jobs of a lost
/// worker find a free one.
const CLIENTS: usize = 4;
const WINDOW: usize = 3;
const STEP: Duration = Duration::from_millis(5);
const REPORT: Duration = Duration::from_secs(10);
/// After its start the yard is left alone for a moment, so that the first jobs show that all is well.
const BEGINNING: Duration = Duration::from_secs(1);

/// How much of a plan is played.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// The plan's seed.
    pub seed: u64,
    /// How many jobs.
    pub jobs: usize,
    /// How often each single fault is measured at the end.
    pub rounds: usize,
}

/// How a run went.
#[derive(Debug)]
pub struct Outcome {
    /// What was wrong.
    pub violations: Vec<Violation>,
    /// The figures.
    pub figures: Figures,
    /// From the first job to the last check.
    pub took: Duration,
}

/// Plays a plan; `tell` gets a line of progress now and then.
///
/// # Panics
/// When the yard can't be started, or does not recover.
pub fn run(extent: Extent, mut tell: impl FnMut(&str)) -> Outcome {
    let begun = Instant::now();
    let clock = Clock::start();
    let mut before = Before::look();
    let (mut yard, shelves, line) = Yard::start(SEATS, SLOTS);
    before.count(&mut yard);
    let ledger = Mutex::new(Ledger::default());
    let office = Office { line: &line, shelves: &shelves, ledger: &ledger, clock };
    let mut hand = Hand::new(yard, &line, &ledger, clock);
    storm(extent, &mut hand, &office, &mut tell);
    let quiet = clock.now();
    let known = quiet::rounds(&mut hand, &office, CLIENTS, extent.rounds);
    let mut yard = hand.yard;
    before.compare(&mut yard, &mut lock(&ledger));
    before.end(yard, &mut lock(&ledger), clock);
    let ledger = lock(&ledger).clone();
    Outcome {
        violations: violations(&ledger),
        figures: Figures::of(&ledger, quiet, known),
        took: begun.elapsed(),
    }
}

/// All jobs, and faults until the last is answered.
fn storm(extent: Extent, hand: &mut Hand<'_>, office: &Office<'_>, tell: &mut impl FnMut(&str)) {
    let plan = Plan { seed: extent.seed, seats: SEATS };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let jobs = (number..extent.jobs).step_by(CLIENTS).map(move |job| plan.job(job));
                scope.spawn(move || work(office, number, WINDOW, jobs))
            })
            .collect();
        let mut strikes = plan.strikes();
        let (mut next, mut due) = (strikes.next(), Instant::now() + BEGINNING);
        let mut report = Instant::now() + REPORT;
        while clients.iter().any(|client| !client.is_finished()) {
            let now = Instant::now();
            if let Some(strike) = next.filter(|_| now >= due) {
                hand.begin(strike.fault, strike.span);
                next = strikes.next();
                due = now + next.map_or(REPORT, |strike| strike.after);
            }
            hand.tend();
            if now >= report {
                report = now + REPORT;
                tell(&progress(&lock(office.ledger), extent));
            }
            std::thread::sleep(STEP);
        }
    });
    hand.heal();
}

fn progress(ledger: &Ledger, extent: Extent) -> String {
    let faults = ledger.troubles.len();
    format!("{} of {} jobs answered, {faults} faults, seed {}", ledger.answers(), extent.jobs, extent.seed)
}
