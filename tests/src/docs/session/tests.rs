//! Tests of a session with small pages.

use super::*;
use crate::docs::console::Console;
use crate::docs::page::Page;
use tempfile::TempDir;

/// Runs all blocks of a page in an empty directory.
fn run(text: &str) -> Result<(), PageFault> {
    let files = TempDir::new().unwrap();
    let mut session = Session::start(SessionOptions {
        enter: vec!["env".to_owned()],
        variables: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        directory: files.path().canonicalize().unwrap(),
        files: files.path().to_owned(),
        command_timeout: Duration::from_secs(5),
    });
    for block in Page::parse("a.md", text).unwrap().blocks {
        let console = Console::parse(&block).unwrap();
        if console.is_after_ctrl_c {
            session.interrupt()?;
        }
        let last = console.steps.len() - 1;
        for (index, step) in console.steps.iter().enumerate() {
            if console.is_background {
                session.start_background(step)?;
            } else {
                session.run(step, if index == last { console.exit } else { 0 })?;
            }
        }
    }
    session.interrupt()
}

fn fault(text: &str) -> PageFault {
    run(text).unwrap_err()
}

#[test]
fn session_keeps_its_shell_state() {
    let text = "```console\n$ a=1\n$ say() { echo \"$1 and $a\"; }\n$ mkdir d && cd d\n```\n\
                ```console\n$ say two\ntwo and 1\n$ pwd\n…/d\n```\n";
    assert_eq!(run(text), Ok(()));
}

#[test]
fn failed_command_is_shown_with_its_output() {
    let found = fault("```console\n$ echo fine\nfine\n$ ls /nowhere\n```");
    assert_eq!(found.line, 4);
    assert!(found.what.starts_with("`ls /nowhere` ended with 2, not 0:"), "{found}");
    assert!(found.what.contains("No such file"), "{found}");
}

#[test]
fn failure_within_a_command_is_found() {
    assert_eq!(fault("```console\n$ for x in 1 2; do false; done; echo fine\nfine\n```").line, 2);
    assert_eq!(fault("```console\n$ false | true\n```").line, 2);
    assert_eq!(fault("```console\n$ echo \"$nobody\"\n```").line, 2);
}

#[test]
fn unexpected_output_is_a_fault() {
    let found = fault("```console\n$ printf 'a\\nb\\n'\na\nc\n```");
    assert_eq!(found.line, 4);
    assert!(found.what.starts_with("expected `c`, it printed `b`"), "{found}");
    assert_eq!(fault("```console\n$ true\nsomething\n```").line, 3);
    assert_eq!(fault("```console\n$ printf 'a\\nb\\n'\na\n```").line, 3);
}

#[test]
fn exit_code_must_be_the_expected_one() {
    assert_eq!(run("```console exit=3\n$ (exit 3)\n```\n```console\n$ echo on\non\n```"), Ok(()));
    assert_eq!(fault("```console exit=3\n$ true\n```").line, 2);
    assert_eq!(fault("```console exit=3\n$ false\n$ (exit 3)\n```").line, 2);
}

#[test]
fn missing_newline_and_reading_stdin_are_allowed() {
    assert_eq!(run("```console\n$ printf a\na\n$ cat\n$ echo b\nb\n```"), Ok(()));
}

#[test]
fn background_command_is_interrupted() {
    let up = "```console background\n$ trap 'echo bye; exit' INT; sleep 0.1; echo up; while :; do sleep 0.05; done\nup\n```\n";
    assert_eq!(
        run(&format!("{up}```console\n$ echo a\na\n```\n```console after-ctrl-c\n$ true\n```")),
        Ok(())
    );
}

#[test]
fn background_command_must_print_and_stay() {
    let ended = fault("```console background\n$ echo down; exit 1\nup\n```");
    assert!(ended.what.contains("has ended: expected `up`, it printed `down`"), "{ended}");
    let late = fault("```console background\n$ echo down; sleep 60\n…\nup\n```");
    assert!(late.what.contains("is late"), "{late}");
}

#[test]
fn unended_command_is_a_fault() {
    let found = fault("```console\n$ echo a; sleep 60\n```");
    assert!(found.what.contains("has not ended yet"), "{found}");
}
