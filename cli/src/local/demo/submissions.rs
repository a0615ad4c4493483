//! Storing the submissions and running them, several at a time.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;
use trackyard_protocol::answer::Answer;
use trackyard_protocol::client::{self, Client};

use super::case::Case;
use super::schedule::Schedule;
use crate::console::Console;
use crate::error::Error as CommandError;
use crate::submit::{Bucket, UploadError};
use crate::verdict;

/// Longer than any job can take.
const PATIENCE: Duration = Duration::from_secs(200);

/// Stores each directory once.
pub(super) async fn store(bucket: &Bucket, examples: &Path, cases: &[Case]) -> Result<(), UploadError> {
    let dirs: BTreeSet<&str> = cases.iter().map(|case| case.expected.dir.as_str()).collect();
    for dir in dirs {
        bucket.store(&examples.join(dir), dir).await?;
    }
    Ok(())
}

/// Runs all cases over one connection; the answers come back in the cases' order.
pub(super) async fn run_all(
    router: String,
    cases: &[Case],
    slots: usize,
    console: Console,
) -> Result<Vec<Answer>, CommandError> {
    let (ended, mut seen) = mpsc::unbounded_channel();
    let jobs = cases.to_vec();
    let running = tokio::task::spawn_blocking(move || run_in_order(&router, &jobs, slots, &ended));
    let mut answers: Vec<Option<Answer>> = vec![None; cases.len()];
    let mut count = 0;
    while let Some((at, answer)) = seen.recv().await {
        count += 1;
        let (Some(case), Some(place)) = (cases.get(at), answers.get_mut(at)) else { continue };
        let line = verdict::line(case.job.channel, &answer);
        console.say(&format!("demo: {count:>2}/{} {}: {line}", cases.len(), case.name()));
        *place = Some(answer);
    }
    running.await.map_err(std::io::Error::other)??;
    Ok(answers.into_iter().flatten().collect())
}

fn run_in_order(
    router: &str,
    cases: &[Case],
    slots: usize,
    ended: &mpsc::UnboundedSender<(usize, Answer)>,
) -> Result<(), client::Error> {
    let client = Client::connect(router)?;
    let mut schedule = Schedule::new(cases.iter().map(|case| case.worker.clone()), slots, slots * 2);
    while !schedule.is_done() {
        while let Some(case) = schedule.next().and_then(|at| cases.get(at)) {
            client.send(&case.job.request())?;
        }
        let answer = client.receive(PATIENCE)?;
        let id = answer.context.get("id").and_then(|id| id.as_str());
        let Some(at) = cases.iter().position(|case| Some(case.job.id.as_str()) == id) else { continue };
        if let Some(case) = cases.get(at) {
            schedule.ended(&case.worker);
        }
        // Nobody listens any more only when all is being taken down.
        let _ = ended.send((at, answer));
    }
    Ok(())
}
