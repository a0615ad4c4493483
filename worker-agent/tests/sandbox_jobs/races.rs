//! Results that change while they are read, and processes that keep them open.

use crate::Scenario;
use crate::machine::{Job, Machine};

pub(crate) const ALL: &[Scenario] = &[
    ("swapped_while_it_ends", swapped_while_it_ends),
    ("written_by_a_survivor", written_by_a_survivor),
    ("open_descriptors_lead_nowhere", open_descriptors_lead_nowhere),
];

const SWAP: &str = "cd $2
    echo '{}' > file; ln -s /etc/passwd link; mkfifo pipe; echo '{\"mine\": 1}' > results.json
    setsid sh -c 'while :; do
        ln -sf /etc/passwd l; mv -f l results.json
        mkfifo p; mv -f p results.json
        echo {} > f; mv -f f results.json
    done' > /dev/null 2>&1 &
    sleep 0.2";

/// A process that outlives the first one replaces the result by a link, a pipe and a file, again and again. It is
/// killed before the result is read.
fn swapped_while_it_ends(machine: &Machine) {
    for _ in 0..5 {
        let outcome = machine.run(&Job::new(SWAP));
        match outcome.reason.as_str() {
            "ok" => assert_eq!(outcome.files["results.json"], b"{}\n", "{outcome:?}"),
            "not_regular" | "malformed" => assert!(outcome.files.is_empty(), "{outcome:?}"),
            other => panic!("{other}: {outcome:?}"),
        }
    }
}

/// A result that is still being written counts up to the moment when the writer is killed.
fn written_by_a_survivor(machine: &Machine) {
    let script = "exec 3> $2/results.json; echo '{}' >&3
        setsid sh -c 'while :; do echo >&3; done' & sleep 0.1";
    let outcome = machine.run(&Job::new(script));
    assert!(matches!(outcome.reason.as_str(), "ok" | "result_size"), "{outcome:?}");
}

/// A job's own descriptors lead only to what it has anyway.
fn open_descriptors_lead_nowhere(machine: &Machine) {
    let script = "for fd in /proc/1/fd/*; do
            case $(readlink $fd) in /etc/*|/run/*|/var/*|/sys/*) readlink $fd ;; esac
            ls $fd/../etc 2> /dev/null
        done
        cd /proc/self/fd && ls ../../../../../run/trackyard 2> /dev/null
        echo '{}' > $2/results.json";
    let outcome = machine.run(&Job::new(script));
    assert_eq!((outcome.reason.as_str(), &outcome.stdout.bytes[..]), ("ok", &b""[..]), "{outcome:?}");
}
