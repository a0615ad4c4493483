//! Before an image is released: can jobs be run with it? In the jobs' own sandbox, so without network, as nobody and
//! over a read-only root.

mod differ;
mod fixtures;

use std::path::Path;

use tokio_util::sync::CancellationToken;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::name::ExerciseSlug;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::source::InputPolicy;
use trackyard_protocol::uri::InputUri;

use super::log::Log;
use crate::input::{self, Inputs};
use crate::sandbox::{self, EntryScript, JobOutcome, PreparedJob, Rootfs, RunSpec, Slot};
use differ::differ;
use fixtures::{Fixture, find};

/// Exit codes by which a shell says that there is no such program, or that it cannot be run.
const CANNOT_RUN: [i32; 2] = [126, 127];

/// An image to check.
pub(super) struct Smoke<'a> {
    pub(super) rootfs: Rootfs,
    pub(super) entry: EntryScript,
    pub(super) limits: Limits,
    /// The checkout.
    pub(super) tree: &'a Path,
    pub(super) log: &'a Log,
    pub(super) cancel: CancellationToken,
}

/// Why an image is not released.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The entry script did not start.
    #[error("the entry script {script} does not start: {message}")]
    NotStarted {
        /// Which.
        script: &'static str,
        /// What the sandbox says.
        message: String,
    },
    /// A fixture did not give its result.
    #[error("the fixture tests/{case} differs: {how}")]
    Fixture {
        /// Which.
        case: String,
        /// How.
        how: String,
    },
    /// The repository's fixtures cannot be read.
    #[error("the checkout cannot be read: {0}")]
    Checkout(std::io::Error),
    /// A fixture's files cannot be used as a submission.
    #[error("the fixture tests/{case} is no submission: {source}")]
    Input {
        /// Which.
        case: String,
        /// Why.
        source: input::InputError,
    },
    /// The build was stopped.
    #[error("the build was stopped")]
    Stopped,
    /// The worker's own fault.
    #[error("{0}")]
    Sandbox(#[from] sandbox::SandboxError),
}

impl Smoke<'_> {
    /// Runs the repository's fixtures; where there are none, the entry script on an empty submission.
    pub(super) async fn check(&self, slot: &mut Slot) -> Result<(), Error> {
        let (tree, result) = (self.tree.to_owned(), self.entry.result());
        let found = tokio::task::spawn_blocking(move || find(&tree, result)).await;
        let found = found.unwrap_or_else(|error| Err(error.into())).map_err(Error::Checkout)?;
        found.left_out.iter().for_each(|line| self.log.line(&format!("smoke check: left out {line}")));
        if found.fixtures.is_empty() {
            return self.start(slot).await;
        }
        for fixture in &found.fixtures {
            self.run_fixture(slot, fixture).await?;
            self.log.line(&format!("smoke check: tests/{} gives what it must", fixture.name));
        }
        Ok(())
    }

    async fn start(&self, slot: &mut Slot) -> Result<(), Error> {
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

    async fn run_fixture(&self, slot: &mut Slot, fixture: &Fixture) -> Result<(), Error> {
        let case = fixture.name.to_string();
        let prepared = self.prepare(slot).await?;
        let dir = prepared.job_dir().try_clone_to_owned().map_err(Error::Checkout)?;
        let policy = InputPolicy { allowed_folders: vec![self.tree.to_owned()], ..InputPolicy::default() };
        let uri = InputUri::of_dir(&fixture.dir.to_string_lossy());
        let fetched = Inputs::new(policy).fetch(&uri, &self.limits, dir).await;
        fetched.map_err(|source| Error::Input { case: case.clone(), source })?;
        let outcome = prepared.run(&self.run(fixture.name.clone()), self.cancel.clone()).await;
        match judge(&outcome, self.entry.result(), &fixture.expected) {
            Some(how) => Err(Error::Fixture { case, how }),
            None => Ok(()),
        }
    }

    async fn prepare<'a>(&self, slot: &'a mut Slot) -> Result<PreparedJob<'a>, Error> {
        let prepared = self.cancel.run_until_cancelled(slot.prepare(&self.rootfs, &self.limits)).await;
        Ok(prepared.ok_or(Error::Stopped)??)
    }

    fn run(&self, exercise: ExerciseSlug) -> RunSpec {
        RunSpec { entry: self.entry, exercise, cpu_time: self.limits.cpu_time() }
    }

    fn not_started(&self, message: String) -> Error {
        Error::NotStarted { script: self.entry.script(), message }
    }
}

/// Why the entry script was not seen to start. What it says of an empty submission is its own business.
fn not_started(outcome: &JobOutcome) -> Option<String> {
    let sandbox = matches!(outcome.reason.code(), 511 | 512)
        || matches!(outcome.reason, Reason::Killed | Reason::SyscallBlocked);
    let shell = outcome.exit_status.is_some_and(|code| CANNOT_RUN.contains(&code));
    (sandbox || shell).then(|| said(outcome))
}

fn judge(outcome: &JobOutcome, result: &str, expected: &[u8]) -> Option<String> {
    if !outcome.reason.is_ok() {
        return Some(said(outcome));
    }
    match outcome.files.get(result) {
        Some(actual) => differ(result, expected, actual),
        None => Some(format!("there is no {result}")),
    }
}

/// The verdict and the end of what the tool printed.
fn said(outcome: &JobOutcome) -> String {
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
        let mut outcome = crate::job::refused(reason, String::new(), sandbox::Usage::default());
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
    fn whether_it_starts(#[case] reason: Reason, #[case] exit: Option<i32>, #[case] starts: bool) {
        assert_eq!(not_started(&outcome(reason, exit, None)).is_none(), starts);
    }

    #[rstest]
    #[case(Reason::Ok, Some("{\"version\": 2}"), None)]
    #[case(Reason::Ok, Some("{\"version\": 3}"), Some("/version is 3, expected 2"))]
    #[case(Reason::Missing, None, Some("missing"))]
    fn what_a_fixture_gave(#[case] reason: Reason, #[case] result: Option<&str>, #[case] how: Option<&str>) {
        let outcome = outcome(reason, Some(0), result);
        assert_eq!(judge(&outcome, "results.json", b"{\"version\":2}").as_deref(), how);
    }
}
