//! Checks that `docs/commands.md` holds the programs' help texts.
#![cfg(test)]

use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::binaries::binary;

const HEAD: &str = "# Command lines\n\nWhat each program says to `--help`; written by `make docs`. \
                    Every flag is also read from the environment.\n";
const COMMANDS: [&[&str]; 19] = [
    &["trackyard-router"],
    &["trackyard-operator"],
    &["trackyard-worker"],
    &["trackyard-worker", "listen"],
    &["trackyard-worker", "configure"],
    &["trackyard-worker", "doctor"],
    &["trackyard"],
    &["trackyard", "submit"],
    &["trackyard", "status"],
    &["trackyard", "versions"],
    &["trackyard", "build"],
    &["trackyard", "deploy"],
    &["trackyard", "unload"],
    &["trackyard", "keys", "new"],
    &["trackyard", "lint"],
    &["trackyard", "local", "up"],
    &["trackyard", "local", "run"],
    &["trackyard", "local", "build"],
    &["trackyard", "local", "demo"],
];

fn help(args: &[&str]) -> String {
    let mut command = Command::new(binary(args[0]));
    command.args(&args[1..]).arg("--help");
    // The help text shows the values of set variables.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TRACKYARD_") || name == "COLUMNS")
    {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn commands_page_matches_help_texts() {
    let section = |args: &&[&str]| format!("\n## `{}`\n\n```text\n{}```\n", args.join(" "), help(args));
    let text = format!("{HEAD}{}", COMMANDS.iter().map(section).collect::<String>());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/commands.md");
    if std::env::var_os("TRACKYARD_WRITE_DOCS").is_some() {
        fs::write(&path, text).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, text, "docs/commands.md is stale; `make docs` writes it again");
}
