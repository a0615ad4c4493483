//! `local demo`: the example submissions through a whole platform, each verdict compared with the expected one; then a
//! version that is not deployed, and a channel without a worker.

mod case;
mod compare;
mod expected;
mod schedule;
mod steps;
mod submissions;

use std::path::PathBuf;

use clap::Args;
use trackyard_protocol::quantity::Bytes;

use super::home::{Home, canonical};
use super::leftovers::Lookout;
use super::lifecycle::with_platform;
use super::platform::{Options, Platform};
use super::{PartsArgs, layouts, plan};
use crate::console::Console;
use crate::error::Error as CommandError;
use crate::exit_code::Code;
use case::{Case, Deployment};
use expected::Expected;

/// Arguments of `local demo`.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// The directory with expected.json and the submissions
    #[arg(long, value_name = "DIR")]
    examples: PathBuf,
    #[command(flatten)]
    parts: PartsArgs,
    /// What one job may use; little, so that the examples that use too much need not use much
    #[arg(long, value_name = "SIZE", default_value = "256Mi")]
    memory: Bytes,
}

/// Runs `local demo`.
pub(super) async fn run(args: Demo, console: Console) -> Result<Code, CommandError> {
    let examples = canonical(&args.examples)?;
    let images = canonical(&args.parts.images)?;
    let mut versions = layouts::versions(&images)?;
    let scoped = layouts::scoped(&args.parts.scoped, &versions);
    let held = case::hold_back(&mut versions)?;
    let expected = Expected::load(&examples)?;
    let cases = expected.into_iter().enumerate();
    let cases: Vec<Case> =
        cases.map(|(n, one)| Case::new(n, one, &versions, &scoped)).collect::<Result<_, _>>()?;
    let workers = plan::all_workers(&scoped);
    let lookout = Lookout::new(&workers)?;
    let home = Home::new(None)?;
    let dir = home.path();
    let options = Options {
        dir: dir.clone(),
        images,
        versions,
        workers,
        slots: args.parts.slots,
        dirs: Vec::new(),
        memory: args.memory,
        repositories: None,
        usual_ports: false,
    };
    let slots = usize::try_from(args.parts.slots).unwrap_or(1);
    let result = with_platform(options, console, async |platform| {
        all_steps(platform, &examples, &cases, &held, slots, console).await
    });
    let result = result.await;
    home.leave(console)?;
    let (mut wrong, killed) = result?;
    wrong.extend(killed.into_iter().map(|name| format!("{name} had to be killed")));
    wrong.extend(lookout.left().into_iter().map(|trace| format!("left behind: {trace}")));
    wrong.extend(dir.exists().then(|| format!("left behind: directory {}", dir.display())));
    let next = Next::new(args.parts.images, args.examples, &cases);
    Ok(verdict(&wrong, cases.len(), &next, console))
}

/// Everything while the platform is up; what was not as expected comes back.
async fn all_steps(
    platform: &mut Platform,
    examples: &std::path::Path,
    cases: &[Case],
    held: &Deployment,
    slots: usize,
    console: Console,
) -> Result<Vec<String>, CommandError> {
    console.say("demo: storing the submissions in the S3 API on loopback");
    submissions::store(&platform.storage.bucket(), examples, cases).await?;
    console.say(&format!("demo: running {} jobs, some at a time", cases.len()));
    let answers = submissions::run_all(platform.router(), cases, slots, console).await?;
    let findings = compare::all(cases, &answers);
    console.data(&compare::table(cases, &answers, &findings))?;
    let mut wrong: Vec<String> =
        cases.iter().zip(findings).flat_map(|(case, found)| case.named(found)).collect();
    wrong.extend(steps::not_deployed(platform, cases, held, console).await?);
    wrong.extend(steps::no_worker(platform, cases, console).await?);
    Ok(wrong)
}

fn verdict(wrong: &[String], jobs: usize, next: &Next, console: Console) -> Code {
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

/// The commands that the end of the demo suggests.
#[derive(Debug)]
struct Next {
    /// This program, as it was called.
    program: String,
    images: PathBuf,
    examples: PathBuf,
    /// An example whose tests fail, so that there is something to see.
    case: Option<Case>,
}

impl Next {
    fn new(images: PathBuf, examples: PathBuf, cases: &[Case]) -> Self {
        let program = std::env::args().next().unwrap_or_else(|| "trackyard".to_owned());
        let fails = |case: &&Case| case.expected.result.as_deref() == Some("fail");
        Self { program, images, examples, case: cases.iter().find(fails).or(cases.first()).cloned() }
    }

    fn text(&self) -> String {
        let Self { program, images, examples, case } = self;
        let up = format!("sudo {program} local up --images {}", images.display());
        let submit = case.as_ref().map_or_else(String::new, |case| {
            let submission = examples.join(&case.expected.dir);
            let (track, exercise) = (&case.job.track, &case.job.exercise);
            let submission = submission.display();
            format!("{program} submit {submission} --track {track} --exercise {exercise}")
        });
        format!(
            "\nNext: start a platform, which runs until Ctrl-C, and submit to it from another terminal:\n  \
             {up}\n  {submit}\n"
        )
    }
}
