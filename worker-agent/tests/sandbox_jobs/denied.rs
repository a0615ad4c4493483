//! Every call that the table denies, made for real.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Scenario;
use crate::machine::{Job, Machine};
use crate::program::program;

pub(crate) const ALL: &[Scenario] = &[
    ("every_denied_call_gets_what_the_table_says", every_denied_call_gets_what_the_table_says),
    ("another_processor_mode_kills", another_processor_mode_kills),
];

/// What libseccomp before 2.6 has no name for; runc passes over it then. None of them gives more than `/proc` does
/// to a process without capabilities.
const TOO_NEW: [&str; 3] = ["statmount", "listmount", "open_tree_attr"];

#[derive(Deserialize)]
struct Entry {
    reason: String,
    action: String,
    calls: Vec<String>,
    argument: Option<serde_json::Value>,
}

fn table() -> Vec<Entry> {
    serde_json::from_str(include_str!("../../src/sandbox/seccomp.json")).unwrap()
}

fn source() -> String {
    let entries = table();
    let names = entries.iter().filter(|entry| entry.argument.is_none()).flat_map(|entry| &entry.calls);
    // A call that this architecture does not have has no number.
    let calls = names.map(|name| format!("#ifdef SYS_{name}\n    try(\"{name}\", SYS_{name});\n#endif\n"));
    include_str!("denied.c").replace("CALLS\n", &calls.collect::<String>())
}

/// What each call got, by its name.
fn tried(machine: &Machine) -> BTreeMap<String, String> {
    let layer = program(machine, "denied", &source());
    let job = Job { layers: vec![layer], ..Job::new("denied; echo '{}' > $2/results.json") };
    let outcome = machine.run(&job);
    assert_eq!(outcome.reason.as_str(), "ok", "{outcome:?}");
    let text = String::from_utf8(outcome.stdout.bytes).unwrap();
    let word = |line: &str| line.split_once(' ').map(|(name, got)| (name.to_owned(), got.to_owned()));
    text.lines().filter_map(word).collect()
}

fn every_denied_call_gets_what_the_table_says(machine: &Machine) {
    let tried = tried(machine);
    for entry in table().iter().filter(|entry| entry.argument.is_none()) {
        assert!(entry.reason.len() > 15, "no reason for {:?}", entry.calls);
        let here: Vec<(&String, &String)> =
            entry.calls.iter().filter_map(|name| Some((name, tried.get(name)?))).collect();
        assert!(!here.is_empty(), "no call of this class is known here: {:?}", entry.calls);
        for (name, got) in here {
            assert!(*got == entry.action || TOO_NEW.contains(&name.as_str()), "{name}: {got}");
            assert_ne!(got, "allowed", "{name}");
        }
    }
    assert!(tried.len() > 50, "{tried:?}");
}

fn another_processor_mode_kills(machine: &Machine) {
    if cfg!(target_arch = "x86_64") {
        let tried = tried(machine);
        assert_eq!(tried["x32"], "kill");
        // A kernel without that gate has its own answer.
        assert!(["kill", "SEGV"].contains(&tried["gate32"].as_str()), "{}", tried["gate32"]);
        let job = Job { layers: vec![program(machine, "denied", &source())], ..Job::new("exec denied x32") };
        let outcome = machine.run(&job);
        assert_eq!((outcome.reason.code(), outcome.reason.as_str()), (403, "syscall_blocked"), "{outcome:?}");
    } else {
        println!("this architecture has no other mode here");
    }
}
