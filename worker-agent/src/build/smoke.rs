//! The smoke check: can jobs run with an image that is about to be released? It uses the jobs' own sandbox: without
//! network, as an unprivileged user and on a read-only root.

mod difference;
mod fixtures;

use std::path::Path;

use tokio_util::sync::CancellationToken;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::name::ExerciseSlug;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::source::InputPolicy;
use trackyard_protocol::uri::InputUri;

use super::log::LogBuffer;
use crate::input::{self, Inputs};
use crate::sandbox::{self, EntryScript, JobOutcome, PreparedJob, Rootfs, RunSpec, Slot};
use difference::difference;
use fixtures::{Fixture, find};

/// Exit codes of a shell that does not find a program, or cannot run it.
const CANNOT_RUN: [i32; 2] = [126, 127];

/// An image to check.
pub(super) struct SmokeCheck<'a> {
    pub(super) rootfs: Rootfs,
    pub(super) entry: EntryScript,
    pub(super) limits: Limits,
    /// The directory of the checkout.
    pub(super) tree: &'a Path,
    pub(super) log: &'a LogBuffer,
    pub(super) cancel: CancellationToken,
}

/// Why an image is not released.
#[derive(Debug, thiserror::Error)]
pub(super) enum SmokeError {
    /// The entry script did not start.
    #[error("the entry script {script} does not start: {message}")]
    NotStarted {
        /// The script's path.
        script: &'static str,
        /// The verdict and the last line of output.
        message: String,
    },
    /// A fixture has another result than the expected one.
    #[error("the fixture tests/{case} differs: {how}")]
    Fixture {
        /// The fixture's name.
        case: String,
        /// The first difference.
        how: String,
    },
    /// The repository's fixtures cannot be read.
    #[error("cannot read the checkout: {0}")]
    Checkout(std::io::Error),
    /// A fixture's files are not a valid submission.
    #[error("the fixture tests/{case} is not a valid submission: {source}")]
    Input {
        /// The fixture's name.
        case: String,
        /// The problem.
        source: input::InputError,
    },
    /// The build was stopped.
    #[error("the build was stopped")]
    Stopped,
    /// The sandbox failed.
    #[error("{0}")]
    Sandbox(#[from] sandbox::SandboxError),
}

impl SmokeCheck<'_> {
    /// Runs the repository's fixtures. Without fixtures, runs the entry script on an empty submission.
    pub(super) async fn check(&self, slot: &mut Slot) -> Result<(), SmokeError> {
        let tree = self.tree.to_owned();
        let result = self.entry.result();
        let found = tokio::task::spawn_blocking(move || find(&tree, result)).await;
        let found = found.unwrap_or_else(|error| Err(error.into())).map_err(SmokeError::Checkout)?;
        found.skipped.iter().for_each(|line| self.log.line(&format!("smoke check: skipped {line}")));
        if found.fixtures.is_empty() {
            return self.start(slot).await;
        }
        for fixture in &found.fixtures {
            self.run_fixture(slot, fixture).await?;
            self.log.line(&format!("smoke check: tests/{} passed", fixture.name));
        }
        Ok(())
    }

    async fn start(&self, slot: &mut Slot) -> Result<(), SmokeError> {
        let exercise =
            ExerciseSlug::new("smoke-check").map_err(|error| self.not_started(error.to_string()))?;
        let prepared = self.prepare(slot).await?;
        let outcome = prepared.run(&self.run(exercise), self.cancel.clone()).await;
        if let Some(message) = not_started(&outcome) {
            return Err(self.not_started(message));
        }
        let line =
            format!("smoke check: no fixtures in tests/; the entry script starts ({})", outcome.reason);
        self.log.line(&line);
        Ok(())
    }

    async fn run_fixture(&self, slot: &mut Slot, fixture: &Fixture) -> Result<(), SmokeError> {
        let case = fixture.name.to_string();
        let prepared = self.prepare(slot).await?;
        let dir = prepared.job_dir().try_clone_to_owned().map_err(SmokeError::Checkout)?;
        let policy = InputPolicy { allowed_folders: vec![self.tree.to_owned()], ..InputPolicy::default() };
        let uri = InputUri::of_dir(&fixture.dir.to_string_lossy());
        let fetched = Inputs::new(policy).fetch(&uri, &self.limits, dir).await;
        fetched.map_err(|source| SmokeError::Input { case: case.clone(), source })?;
        let outcome = prepared.run(&self.run(fixture.name.clone()), self.cancel.clone()).await;
        match mismatch(&outcome, self.entry.result(), &fixture.expected) {
            Some(how) => Err(SmokeError::Fixture { case, how }),
            None => Ok(()),
        }
    }

    async fn prepare<'a>(&self, slot: &'a mut Slot) -> Result<PreparedJob<'a>, SmokeError> {
        let prepared = self.cancel.run_until_cancelled(slot.prepare(&self.rootfs, &self.limits)).await;
        Ok(prepared.ok_or(SmokeError::Stopped)??)
    }

    fn run(&self, exercise: ExerciseSlug) -> RunSpec {
        RunSpec { entry: self.entry, exercise, cpu_time: self.limits.cpu_time() }
    }

    fn not_started(&self, message: String) -> SmokeError {
        SmokeError::NotStarted { script: self.entry.script(), message }
    }
}

/// Returns why the entry script did not start. Its verdict on an empty submission does not matter.
fn not_started(outcome: &JobOutcome) -> Option<String> {
    let sandbox = matches!(outcome.reason.code(), 511 | 512)
        || matches!(outcome.reason, Reason::Killed | Reason::SyscallBlocked);
    let shell = outcome.exit_status.is_some_and(|code| CANNOT_RUN.contains(&code));
    (sandbox || shell).then(|| describe(outcome))
}

fn mismatch(outcome: &JobOutcome, result: &str, expected: &[u8]) -> Option<String> {
    if !outcome.reason.is_ok() {
        return Some(describe(outcome));
    }
    match outcome.files.get(result) {
        Some(actual) => difference(result, expected, actual),
        None => Some(format!("there is no {result}")),
    }
}

/// Returns the verdict and the last line of output.
fn describe(outcome: &JobOutcome) -> String {
    let printed = if outcome.stderr.bytes.is_empty() { &outcome.stdout } else { &outcome.stderr };
    let printed = String::from_utf8_lossy(&printed.bytes);
    let last = printed.trim_end().lines().last().unwrap_or_default();
    let last: String = last.chars().take(300).collect();
    format!("{} {} {last}", outcome.reason, outcome.message).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn outcome(reason: Reason, exit_status: Option<i32>, result: Option<&str>) -> JobOutcome {
        let mut outcome = crate::job::outcome_without_run(reason, String::new(), sandbox::Usage::default());
        outcome.exit_status = exit_status;
        outcome.files.extend(result.map(|text| ("results.json".to_owned(), text.as_bytes().to_vec())));
        outcome
    }

    #[rstest]
    #[case(Reason::Ok, Some(0), true)]
    #[case(Reason::ExitCode, Some(1), true)]
    #[case(Reason::Missing, Some(0), true)]
    #[case(Reason::WallTime, None, true)]
    #[case(Reason::ExitCode, Some(127), false)]
    #[case(Reason::Launch, None, false)]
    #[case(Reason::SyscallBlocked, None, false)]
    fn entry_script_starts(#[case] reason: Reason, #[case] exit: Option<i32>, #[case] starts: bool) {
        assert_eq!(not_started(&outcome(reason, exit, None)).is_none(), starts);
    }

    #[rstest]
    #[case(Reason::Ok, Some("{\"version\": 2}"), None)]
    #[case(Reason::Ok, Some("{\"version\": 3}"), Some("/version is 3, expected 2"))]
    #[case(Reason::Missing, None, Some("missing"))]
    fn fixture_results(#[case] reason: Reason, #[case] result: Option<&str>, #[case] how: Option<&str>) {
        let outcome = outcome(reason, Some(0), result);
        assert_eq!(mismatch(&outcome, "results.json", b"{\"version\":2}").as_deref(), how);
    }
}
