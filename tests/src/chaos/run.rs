//! One run of the suite, from its first process to its last check.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::check::{Violation, violations};
use super::client::{ClientContext, lock, run_client};
use super::clock::Clock;
use super::fleet::Fleet;
use super::history::History;
use super::injector::FaultInjector;
use super::leaks::Baseline;
use super::measurements::Measurements;
use super::plan::Plan;
use super::single_faults;

const WORKERS: usize = 4;
/// Slots of each worker.
const SLOTS: u32 = 4;
/// Clients, each with at most [`WINDOW`] requests in flight: together fewer than there are slots, so that most jobs of a
/// lost worker find a free one.
const CLIENTS: usize = 4;
const WINDOW: usize = 3;
/// Interval at which the fault injector runs.
const TICK_INTERVAL: Duration = Duration::from_millis(5);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);
/// Delay of the first fault, so that the first jobs show that all is well.
const FIRST_FAULT_DELAY: Duration = Duration::from_secs(1);

/// How much of a plan is played.
#[derive(Debug, Clone, Copy)]
pub struct RunOptions {
    /// The plan's seed.
    pub seed: u64,
    /// Number of jobs.
    pub jobs: usize,
    /// How often each single fault is measured at the end.
    pub rounds: usize,
}

/// The result of a run.
#[derive(Debug)]
pub struct RunOutcome {
    /// The broken rules.
    pub violations: Vec<Violation>,
    /// What was counted and measured.
    pub measurements: Measurements,
    /// From the first job to the last check.
    pub took: Duration,
}

/// Plays a plan; `progress` gets a line at times.
///
/// # Panics
/// When the fleet can't be started, or does not recover.
pub fn run(options: RunOptions, mut progress: impl FnMut(&str)) -> RunOutcome {
    let begun = Instant::now();
    let clock = Clock::start();
    let mut baseline = Baseline::of_machine();
    let (mut fleet, submissions, router) = Fleet::start(WORKERS, SLOTS);
    baseline.add_processes(&mut fleet);
    let history = Mutex::new(History::default());
    let context = ClientContext { router: &router, submissions: &submissions, history: &history, clock };
    let mut injector = FaultInjector::new(fleet, &router, &history, clock);
    run_under_faults(options, &mut injector, &context, &mut progress);
    let single_faults_from = clock.now();
    let restart_times = single_faults::measure(&mut injector, &context, CLIENTS, options.rounds);
    let mut fleet = injector.fleet;
    baseline.compare(&mut fleet, &mut lock(&history));
    baseline.stop_and_compare(fleet, &mut lock(&history), clock);
    let history = lock(&history).clone();
    RunOutcome {
        violations: violations(&history),
        measurements: Measurements::of(&history, single_faults_from, restart_times),
        took: begun.elapsed(),
    }
}

/// Sends all jobs, and injects faults until the last job is answered.
fn run_under_faults(
    options: RunOptions,
    injector: &mut FaultInjector<'_>,
    context: &ClientContext<'_>,
    progress: &mut impl FnMut(&str),
) {
    let plan = Plan { seed: options.seed, workers: WORKERS };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let jobs = (number..options.jobs).step_by(CLIENTS).map(move |job| plan.job(job));
                scope.spawn(move || run_client(context, number, WINDOW, jobs))
            })
            .collect();
        let mut faults = plan.faults();
        let mut next_fault = faults.next();
        let mut fault_due = Instant::now() + FIRST_FAULT_DELAY;
        let mut progress_due = Instant::now() + PROGRESS_INTERVAL;
        while clients.iter().any(|client| !client.is_finished()) {
            let now = Instant::now();
            if let Some(fault) = next_fault.filter(|_| now >= fault_due) {
                injector.inject(fault.fault, fault.duration);
                next_fault = faults.next();
                fault_due = now + next_fault.map_or(PROGRESS_INTERVAL, |fault| fault.after);
            }
            injector.tick();
            if now >= progress_due {
                progress_due = now + PROGRESS_INTERVAL;
                progress(&progress_line(&lock(context.history), options));
            }
            std::thread::sleep(TICK_INTERVAL);
        }
    });
    injector.revert_all();
}

fn progress_line(history: &History, options: RunOptions) -> String {
    let answered = history.answered_jobs();
    let faults = history.faults.len();
    format!("{answered} of {} jobs answered, {faults} faults, seed {}", options.jobs, options.seed)
}
