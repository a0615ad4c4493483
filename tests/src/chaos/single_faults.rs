//! Injects single faults while slots are free, to measure how long recovery takes when nothing else disturbs it.

use std::time::Duration;

use serde_json::Value;

use super::client::{ClientContext, run_client};
use super::fault::Fault;
use super::injector::FaultInjector;
use super::plan::{Behavior, Job, STEADY, Source};
use crate::wait::{seconds, wait_until};

/// Number of jobs running at each fault.
const JOBS: usize = 3;
/// Duration of a job; longer than [`FREEZE`].
const JOB_DURATION: Duration = Duration::from_secs(6);
const FREEZE: Duration = Duration::from_secs(5);
/// How long a killed process is away.
const DOWNTIME: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy)]
enum Scenario {
    Kill,
    Freeze,
    Restart,
}

/// Plays each scenario `rounds` times. Returns how long the router took after each restart to know all running jobs.
pub(super) fn measure(
    injector: &mut FaultInjector<'_>,
    context: &ClientContext<'_>,
    client: usize,
    rounds: usize,
) -> Vec<Duration> {
    let mut restart_times = Vec::new();
    for round in 0..rounds {
        for scenario in [Scenario::Kill, Scenario::Freeze, Scenario::Restart] {
            let name = format!("quiet-{round}-{scenario:?}");
            restart_times.extend(play(injector, context, client, &name, scenario));
            injector.revert_all();
        }
    }
    restart_times
}

fn play(
    injector: &mut FaultInjector<'_>,
    context: &ClientContext<'_>,
    client: usize,
    name: &str,
    scenario: Scenario,
) -> Option<Duration> {
    let jobs = (0..JOBS).map(|number| Job {
        id: format!("{name}-{number}"),
        behavior: Behavior::WritesResult(JOB_DURATION),
        source: Source::Dir,
        version: STEADY,
        deadline: seconds(60),
    });
    std::thread::scope(|scope| {
        let client = scope.spawn(|| run_client(context, client, JOBS, jobs));
        wait_until(seconds(20), "the jobs are running", || nodes_of_running_jobs(injector).len() >= JOBS);
        let node = nodes_of_running_jobs(injector).first().copied().unwrap_or_default();
        let restart_time = match scenario {
            Scenario::Kill => {
                injector.inject(Fault::KillWorker(node), DOWNTIME);
                None
            }
            Scenario::Freeze => {
                injector.inject(Fault::FreezeWorker(node), FREEZE);
                None
            }
            Scenario::Restart => Some(restart_router(injector)),
        };
        while !client.is_finished() {
            injector.tick();
            std::thread::sleep(Duration::from_millis(5));
        }
        restart_time
    })
}

/// Restarts the router. Returns how long it then took to know all running jobs.
fn restart_router(injector: &mut FaultInjector<'_>) -> Duration {
    injector.inject(Fault::KillRouter, DOWNTIME);
    std::thread::sleep(DOWNTIME);
    let from = injector.clock.now();
    injector.revert(Fault::KillRouter);
    wait_until(seconds(20), "the router knows the running jobs", || {
        nodes_of_running_jobs(injector).len() >= JOBS
    });
    injector.clock.now().saturating_sub(from)
}

/// Returns the node of each job that the router reports as accepted by a worker.
fn nodes_of_running_jobs(injector: &FaultInjector<'_>) -> Vec<usize> {
    let status = injector.fleet.router.status().get("dispatch").cloned().unwrap_or_default();
    let workers = list(&status, "workers").into_iter().filter_map(|worker| {
        let name = worker.get("name").and_then(Value::as_str).unwrap_or_default();
        let node = injector.fleet.nodes.iter().find(|node| node.name == name)?.number;
        let jobs = list(&worker, "jobs");
        let accepted = jobs.iter().filter(|job| job.get("accepted") == Some(&Value::Bool(true)));
        Some(vec![node; accepted.count()])
    });
    workers.flatten().collect()
}

fn list(value: &Value, field: &str) -> Vec<Value> {
    value.get(field).and_then(Value::as_array).cloned().unwrap_or_default()
}
