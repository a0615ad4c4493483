//! Runs jobs in real containers: every verdict that a container can cause. Asserts after each that nothing is left.
//!
//! Needs root, runc and a static busybox. `cargo test --test sandbox_jobs [PART OF A NAME]`.
#![expect(clippy::print_stdout, reason = "a custom test harness: it reports to the terminal")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "all of this is test code")]

mod attacks;
mod denied;
mod endings;
mod floods;
mod images;
mod machine;
mod output;
mod program;
mod races;
mod rights;
mod verdicts;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

use machine::Machine;

/// A named scenario.
type Scenario = (&'static str, fn(&Machine));

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let scenarios: Vec<Scenario> = [
        verdicts::ALL,
        output::ALL,
        races::ALL,
        attacks::ALL,
        denied::ALL,
        rights::ALL,
        floods::ALL,
        images::ALL,
        endings::ALL,
    ]
    .concat();
    if arguments.iter().any(|argument| argument == "--list") {
        for (name, _) in &scenarios {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    if let Some(work) = filter.and_then(|argument| argument.strip_prefix(endings::WORKER)) {
        endings::worker(Path::new(work));
        return ExitCode::SUCCESS;
    }
    let work = tempfile::tempdir().unwrap();
    let machine = Machine::enter(work.path());
    let chosen = scenarios.iter().filter(|(name, _)| filter.is_none_or(|part| name.contains(part.as_str())));
    let mut failed = 0;
    for (name, scenario) in chosen {
        let passed = catch_unwind(AssertUnwindSafe(|| {
            scenario(&machine);
            machine.assert_nothing_left();
            machine.assert_next_job_is_ok();
        }))
        .is_ok();
        println!("{name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += u32::from(!passed);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
