//! Follows a page: runs all of its blocks.

use std::fs;

use serde_json::Value;

use super::check::differing_fields;
use super::console::{Console, ConsoleStep, with_given_values};
use super::page::{Block, Page, PageFault};
use super::scratch::Scratch;
use super::session::Session;
use crate::binaries::system;

/// Runs every block of a page, in order.
///
/// # Panics
/// At the first block that does not do what the page says, with its line.
pub fn follow(page: &Page, scratch: &Scratch, enter: Vec<String>, value: impl Fn(&str) -> Option<String>) {
    let mut session = scratch.session(enter);
    let mut answer = None;
    for block in &page.blocks {
        let result = match block.language.as_str() {
            "console" => type_block(block, scratch, &mut session, &value),
            "python" => run_python(block, scratch, &mut session).map(|printed| answer = Some(printed)),
            "json" if block.has("answer") => compare(block, answer.take()),
            _ => Ok(()),
        };
        result.unwrap_or_else(|fault| panic!("{}, {fault}", page.name));
    }
    session.interrupt().unwrap_or_else(|fault| panic!("{}, {fault}", page.name));
}

fn type_block(
    block: &Block,
    scratch: &Scratch,
    session: &mut Session,
    value: impl Fn(&str) -> Option<String>,
) -> Result<(), PageFault> {
    let console = Console::parse(block)?;
    if console.is_not_run {
        return Ok(());
    }
    if console.is_after_ctrl_c {
        session.interrupt()?;
    }
    if console.is_given {
        let commands = with_given_values(&console.steps, value)?;
        for (step, command) in console.steps.iter().zip(commands) {
            session.run(&ConsoleStep { line: step.line, command, expected: Vec::new() }, 0)?;
        }
        return Ok(());
    }
    let last = console.steps.len().saturating_sub(1);
    for (index, step) in console.steps.iter().enumerate() {
        if console.is_background {
            session.start_background(step)?;
        } else {
            session.run(step, if index == last { console.exit } else { 0 })?;
        }
        scratch.link_programs();
    }
    Ok(())
}

/// Runs a Python program. Returns what it prints.
fn run_python(block: &Block, scratch: &Scratch, session: &mut Session) -> Result<String, PageFault> {
    let file = scratch.path("files").join(format!("line-{}.py", block.line));
    fs::write(&file, block.text()).map_err(|error| PageFault::new(block.line, error.to_string()))?;
    let python = system("python3", "python3-zmq");
    let (code, printed) =
        session.type_command(&format!("{} {}", python.display(), file.display()), block.line, true)?;
    let printed = printed.join("\n");
    if code == 0 {
        Ok(printed)
    } else {
        Err(PageFault::new(block.line, format!("it ended with {code}:\n{printed}")))
    }
}

fn compare(block: &Block, printed: Option<String>) -> Result<(), PageFault> {
    let faulty = |what: String| PageFault::new(block.line, what);
    let printed = printed.ok_or_else(|| faulty("no program above printed this answer".to_owned()))?;
    let real: Value =
        serde_json::from_str(&printed).map_err(|error| faulty(format!("{error}:\n{printed}")))?;
    let shown: Value = serde_json::from_str(&block.text()).map_err(|error| faulty(error.to_string()))?;
    differing_fields("", &shown, &real).map_or(Ok(()), |what| Err(faulty(format!("{what}:\n{printed}"))))
}
