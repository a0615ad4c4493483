//! `local demo`: runs the example submissions on a platform and compares each verdict with the expected one; then checks
//! the refusal of a version that is not deployed, and of a channel without a worker.

mod case;
mod compare;
mod expected;
mod refusals;
mod schedule;
mod submissions;

use std::path::PathBuf;

use clap::Args;
use trackyard_protocol::quantity::Bytes;

use super::leaks::LeakDetector;
use super::lifecycle::with_platform;
use super::platform::{Platform, PlatformOptions};
use super::state_dir::{StateDir, canonical};
use super::{PlatformArgs, layouts, plan};
use crate::console::Console;
use crate::error::CommandError;
use crate::exit_code::Code;
use case::{DemoCase, Deployment};
use expected::Expected;

/// Arguments of `local demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// The directory with expected.json and the submissions
    #[arg(long, value_name = "DIR")]
    examples: PathBuf,
    #[command(flatten)]
    platform: PlatformArgs,
    /// The memory limit of a job; low, so that the examples that exceed it need little
    #[arg(long, value_name = "SIZE", default_value = "256Mi")]
    memory: Bytes,
}

/// Runs `local demo`.
pub(super) async fn run(args: DemoArgs, console: Console) -> Result<Code, CommandError> {
    let examples = canonical(&args.examples)?;
    let images = canonical(&args.platform.images)?;
    let mut versions = layouts::find_versions(&images)?;
    let scoped = layouts::scoped_tracks(&args.platform.scoped, &versions);
    let withheld = case::withhold_version(&mut versions)?;
    let expected = Expected::load(&examples)?;
    let cases: Vec<DemoCase> = (0..)
        .zip(expected)
        .map(|(number, expected)| DemoCase::new(number, expected, &versions, &scoped))
        .collect::<Result<_, _>>()?;
    let workers = plan::all_workers(&scoped);
    let detector = LeakDetector::new(&workers)?;
    let state_dir = StateDir::new(None)?;
    let dir = state_dir.path();
    let options = PlatformOptions {
        dir: dir.clone(),
        images,
        versions,
        workers,
        slots: args.platform.slots,
        dirs: Vec::new(),
        memory: args.memory,
        repositories: None,
        use_default_ports: false,
    };
    let slots = usize::try_from(args.platform.slots).unwrap_or(1);
    let result = with_platform(options, console, async |platform| {
        run_steps(platform, &examples, &cases, &withheld, slots, console).await
    });
    let result = result.await;
    state_dir.close(console)?;
    let (mut wrong, killed) = result?;
    wrong.extend(killed.into_iter().map(|name| format!("{name} had to be killed")));
    wrong.extend(detector.leaks().into_iter().map(|leak| format!("left behind: {leak}")));
    wrong.extend(dir.exists().then(|| format!("left behind: directory {}", dir.display())));
    let next = NextCommands::new(args.platform.images, args.examples, &cases);
    Ok(conclude(&wrong, cases.len(), &next, console))
}

/// Runs all steps on a running platform. Returns what was not as expected.
async fn run_steps(
    platform: &mut Platform,
    examples: &std::path::Path,
    cases: &[DemoCase],
    withheld: &Deployment,
    slots: usize,
    console: Console,
) -> Result<Vec<String>, CommandError> {
    console.say("demo: uploading the submissions to the S3 API on loopback");
    submissions::upload(&platform.storage.bucket(), examples, cases).await?;
    console.say(&format!("demo: running {} jobs, some at a time", cases.len()));
    let answers = submissions::run_all(platform.router(), cases, slots, console).await?;
    let findings = compare::compare_all(cases, &answers);
    console.data(&compare::table(cases, &answers, &findings))?;
    let mut wrong: Vec<String> =
        cases.iter().zip(findings).flat_map(|(case, found)| case.prefix(found)).collect();
    wrong.extend(refusals::check_not_deployed(platform, cases, withheld, console).await?);
    wrong.extend(refusals::check_no_worker(platform, cases, console).await?);
    Ok(wrong)
}

fn conclude(wrong: &[String], jobs: usize, next: &NextCommands, console: Console) -> Code {
    if wrong.is_empty() {
        console.say(&format!(
            "demo: all {jobs} verdicts are the expected ones, and so are those for a version that"
        ));
        console.say("      was not deployed (505) and a channel without a worker (503)");
        console.say("demo: no process, mount, cgroup or file is left behind");
        console.say(&next.text());
        return Code::Done;
    }
    wrong.iter().for_each(|line| console.error(line, None));
    Code::DemoFailed
}

/// The commands that the demo suggests at its end.
#[derive(Debug)]
struct NextCommands {
    /// This program's name, as it was called.
    program: String,
    images: PathBuf,
    examples: PathBuf,
    /// An example to submit; one whose tests fail shows the most.
    case: Option<DemoCase>,
}

impl NextCommands {
    fn new(images: PathBuf, examples: PathBuf, cases: &[DemoCase]) -> Self {
        let program = std::env::args().next().unwrap_or_else(|| "trackyard".to_owned());
        let failing = cases.iter().find(|case| case.expected.result.as_deref() == Some("fail"));
        Self { program, images, examples, case: failing.or(cases.first()).cloned() }
    }

    fn text(&self) -> String {
        let Self { program, images, examples, case } = self;
        let up = format!("sudo {program} local up --images {}", images.display());
        let submit = case.as_ref().map_or_else(String::new, |case| {
            let submission = examples.join(&case.expected.dir);
            format!(
                "{program} submit {} --track {} --exercise {}",
                submission.display(),
                case.job.track,
                case.job.exercise
            )
        });
        format!(
            "\nNext: start a platform, which runs until Ctrl-C, and submit to it from another terminal:\n  \
             {up}\n  {submit}\n"
        )
    }
}
