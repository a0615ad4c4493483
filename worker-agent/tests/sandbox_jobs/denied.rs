//! Makes every system call that the seccomp table denies.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Scenario;
use crate::machine::{Job, Machine};
use crate::program::program;

pub(crate) const ALL: &[Scenario] = &[
    ("denied_calls_match_the_table", denied_calls_match_the_table),
    ("other_processor_modes_are_killed", other_processor_modes_are_killed),
];

/// Calls that libseccomp before 2.6 does not know, so that runc ignores them. None of them gives a process without
/// capabilities more than `/proc` does.
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

/// Returns the result of each call, by its name.
fn results(machine: &Machine) -> BTreeMap<String, String> {
    let layer = program(machine, "denied", &source());
    let job = Job { layers: vec![layer], ..Job::new("denied; echo '{}' > $2/results.json") };
    let outcome = machine.run(&job);
    assert_eq!(outcome.reason.as_str(), "ok", "{outcome:?}");
    let text = String::from_utf8(outcome.stdout.bytes).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(name, result)| (name.to_owned(), result.to_owned())).collect()
}

fn denied_calls_match_the_table(machine: &Machine) {
    let results = results(machine);
    for entry in table().iter().filter(|entry| entry.argument.is_none()) {
        assert!(entry.reason.len() > 15, "no reason for {:?}", entry.calls);
        let here: Vec<(&String, &String)> =
            entry.calls.iter().filter_map(|name| Some((name, results.get(name)?))).collect();
        assert!(!here.is_empty(), "no call of this class is known here: {:?}", entry.calls);
        for (name, got) in here {
            assert!(*got == entry.action || TOO_NEW.contains(&name.as_str()), "{name}: {got}");
            assert_ne!(got, "allowed", "{name}");
        }
    }
    assert!(results.len() > 50, "{results:?}");
}

fn other_processor_modes_are_killed(machine: &Machine) {
    if cfg!(target_arch = "x86_64") {
        let results = results(machine);
        assert_eq!(results["x32"], "kill");
        // A kernel without that gate sends SIGSEGV.
        assert!(["kill", "SEGV"].contains(&results["gate32"].as_str()), "{}", results["gate32"]);
        let job = Job { layers: vec![program(machine, "denied", &source())], ..Job::new("exec denied x32") };
        let outcome = machine.run(&job);
        assert_eq!((outcome.reason.code(), outcome.reason.as_str()), (403, "syscall_blocked"), "{outcome:?}");
    } else {
        println!("this architecture has no other mode here");
    }
}
