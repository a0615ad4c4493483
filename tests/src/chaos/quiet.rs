//! Single faults while slots are free: how long recovery takes when nothing else is in its way.

use std::time::Duration;

use serde_json::Value;

use super::client::{Office, work};
use super::fault::Fault;
use super::plan::{Fate, Job, STEADY, Source};
use super::strike::Hand;
use crate::wait::{seconds, wait_until};

/// Jobs in hand at each fault.
const JOBS: usize = 3;
/// They outlast a freeze.
const LENGTH: Duration = Duration::from_secs(6);
const FREEZE: Duration = Duration::from_secs(5);
const ABSENCE: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy)]
enum Scene {
    Kill,
    Freeze,
    Restart,
}

/// Plays each fault `rounds` times. Gives the times from the router's starts to its knowing every job in hand.
pub(super) fn rounds(
    hand: &mut Hand<'_>,
    office: &Office<'_>,
    client: usize,
    rounds: usize,
) -> Vec<Duration> {
    let mut known = Vec::new();
    for round in 0..rounds {
        for scene in [Scene::Kill, Scene::Freeze, Scene::Restart] {
            known.extend(play(hand, office, client, &format!("quiet-{round}-{scene:?}"), scene));
            hand.heal();
        }
    }
    known
}

fn play(
    hand: &mut Hand<'_>,
    office: &Office<'_>,
    client: usize,
    name: &str,
    scene: Scene,
) -> Option<Duration> {
    let job = |number| Job {
        id: format!("{name}-{number}"),
        fate: Fate::Passes(LENGTH),
        source: Source::Dir,
        version: STEADY,
        deadline: seconds(60),
    };
    std::thread::scope(|scope| {
        let clients = scope.spawn(|| work(office, client, JOBS, (0..JOBS).map(job)));
        wait_until(seconds(20), "the jobs are in hand", || in_hand(hand).len() >= JOBS);
        let seat = in_hand(hand).first().copied().unwrap_or_default();
        let known = match scene {
            Scene::Kill => {
                hand.begin(Fault::KillWorker(seat), ABSENCE);
                None
            }
            Scene::Freeze => {
                hand.begin(Fault::FreezeWorker(seat), FREEZE);
                None
            }
            Scene::Restart => Some(restart(hand)),
        };
        while !clients.is_finished() {
            hand.tend();
            std::thread::sleep(Duration::from_millis(5));
        }
        known
    })
}

fn restart(hand: &mut Hand<'_>) -> Duration {
    hand.begin(Fault::KillRouter, ABSENCE);
    std::thread::sleep(ABSENCE);
    let from = hand.clock.now();
    hand.end(Fault::KillRouter);
    wait_until(seconds(20), "the router knows the jobs in hand", || in_hand(hand).len() >= JOBS);
    hand.clock.now().saturating_sub(from)
}

/// The seats of the workers that have a job in hand, once for each job, as the router tells.
fn in_hand(hand: &Hand<'_>) -> Vec<usize> {
    let status = hand.yard.router.status().get("dispatch").cloned().unwrap_or_default();
    let list =
        |value: &Value, field: &str| value.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let workers = list(&status, "workers").into_iter().filter_map(|worker| {
        let name = worker.get("name").and_then(Value::as_str).unwrap_or_default();
        let seat = hand.yard.seats.iter().find(|seat| seat.name == name)?.number;
        let accepted = |job: &&Value| job.get("accepted") == Some(&Value::Bool(true));
        Some(vec![seat; list(&worker, "jobs").iter().filter(accepted).count()])
    });
    workers.flatten().collect()
}
