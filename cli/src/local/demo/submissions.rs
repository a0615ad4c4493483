//! Uploads the submissions and runs them, several at a time.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;
use trackyard_protocol::answer::Answer;
use trackyard_protocol::client::{self, Client};

use super::case::DemoCase;
use super::schedule::Schedule;
use crate::console::Console;
use crate::error::CommandError;
use crate::submit::{Bucket, UploadError};
use crate::verdict;

/// Timeout of a job's answer; longer than any job can take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(200);

/// Uploads each directory once.
pub(super) async fn upload(bucket: &Bucket, examples: &Path, cases: &[DemoCase]) -> Result<(), UploadError> {
    let dirs: BTreeSet<&str> = cases.iter().map(|case| case.expected.dir.as_str()).collect();
    for dir in dirs {
        bucket.upload(&examples.join(dir), dir).await?;
    }
    Ok(())
}

/// Runs all cases over one connection. Returns the answers in the order of the cases.
pub(super) async fn run_all(
    router: String,
    cases: &[DemoCase],
    slots: usize,
    console: Console,
) -> Result<Vec<Answer>, CommandError> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let jobs = cases.to_vec();
    let running = tokio::task::spawn_blocking(move || run_in_order(&router, &jobs, slots, &sender));
    let mut answers: Vec<Option<Answer>> = vec![None; cases.len()];
    let mut count = 0;
    while let Some((index, answer)) = receiver.recv().await {
        count += 1;
        let Some((case, entry)) = cases.get(index).zip(answers.get_mut(index)) else { continue };
        let line = verdict::line(case.job.channel, &answer);
        console.say(&format!("demo: {count:>2}/{} {}: {line}", cases.len(), case.name()));
        *entry = Some(answer);
    }
    running.await.map_err(std::io::Error::other)??;
    Ok(answers.into_iter().flatten().collect())
}

fn run_in_order(
    router: &str,
    cases: &[DemoCase],
    slots: usize,
    sender: &mpsc::UnboundedSender<(usize, Answer)>,
) -> Result<(), client::Error> {
    let client = Client::connect(router)?;
    let mut schedule = Schedule::new(cases.iter().map(|case| case.worker.clone()), slots, slots * 2);
    while !schedule.is_done() {
        while let Some(case) = schedule.next().and_then(|index| cases.get(index)) {
            client.send(&case.job.body())?;
        }
        let answer = client.receive(ANSWER_TIMEOUT)?;
        let id = answer.context.get("id").and_then(|id| id.as_str());
        let Some(index) = cases.iter().position(|case| Some(case.job.id.as_str()) == id) else { continue };
        if let Some(case) = cases.get(index) {
            schedule.on_ended(&case.worker);
        }
        // Fails only if the receiver is gone because the platform is being stopped.
        let _ = sender.send((index, answer));
    }
    Ok(())
}
