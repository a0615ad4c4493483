//! Types all that a page says.

use std::fs;

use serde_json::Value;

use super::check::differing_fields;
use super::console::{Console, Step, given};
use super::page::{Block, Fault, Page};
use super::scratch::Scratch;
use super::session::Session;
use crate::binaries::system;

/// Runs every block of a page, in order.
///
/// # Panics
/// At the first that does not do what the page says, with its line.
pub fn follow(page: &Page, scratch: &Scratch, enter: Vec<String>, value: impl Fn(&str) -> Option<String>) {
    let mut session = scratch.session(enter);
    let mut answer = None;
    for block in &page.blocks {
        let done = match block.language.as_str() {
            "console" => type_block(block, scratch, &mut session, &value),
            "python" => python(block, scratch, &mut session).map(|printed| answer = Some(printed)),
            "json" if block.has("answer") => compare(block, answer.take()),
            _ => Ok(()),
        };
        done.unwrap_or_else(|fault| unreachable!("{}, {fault}", page.name));
    }
    session.interrupt().unwrap_or_else(|fault| unreachable!("{}, {fault}", page.name));
}

fn type_block(
    block: &Block,
    scratch: &Scratch,
    session: &mut Session,
    value: impl Fn(&str) -> Option<String>,
) -> Result<(), Fault> {
    let console = Console::read(block)?;
    if console.is_not_run {
        return Ok(());
    }
    if console.is_after_ctrl_c {
        session.interrupt()?;
    }
    if console.is_given {
        let commands = given(&console.steps, value)?;
        for (step, command) in console.steps.iter().zip(commands) {
            session.run(&Step { line: step.line, command, expected: Vec::new() }, 0)?;
        }
        return Ok(());
    }
    let last = console.steps.len().saturating_sub(1);
    for (index, step) in console.steps.iter().enumerate() {
        if console.is_background {
            session.begin(step)?;
        } else {
            session.run(step, if index == last { console.exit } else { 0 })?;
        }
        scratch.link_programs();
    }
    Ok(())
}

/// Runs a program; what it prints.
fn python(block: &Block, scratch: &Scratch, session: &mut Session) -> Result<String, Fault> {
    let file = scratch.path("files").join(format!("line-{}.py", block.line));
    fs::write(&file, block.text()).map_err(|error| Fault::new(block.line, error.to_string()))?;
    let python = system("python3", "python3-zmq");
    let (code, printed) =
        session.type_in(&format!("{} {}", python.display(), file.display()), block.line, true)?;
    let printed = printed.join("\n");
    if code == 0 {
        Ok(printed)
    } else {
        Err(Fault::new(block.line, format!("it ended with {code}:\n{printed}")))
    }
}

fn compare(block: &Block, printed: Option<String>) -> Result<(), Fault> {
    let faulty = |what: String| Fault::new(block.line, what);
    let printed = printed.ok_or_else(|| faulty("an answer that no program above printed".to_owned()))?;
    let real: Value =
        serde_json::from_str(&printed).map_err(|error| faulty(format!("{error}:\n{printed}")))?;
    let shown: Value = serde_json::from_str(&block.text()).map_err(|error| faulty(error.to_string()))?;
    differing_fields("", &shown, &real).map_or(Ok(()), |what| Err(faulty(format!("{what}:\n{printed}"))))
}
