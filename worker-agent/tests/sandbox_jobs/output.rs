//! Results of every kind, good and bad.

use trackyard_protocol::channel::Channel;
use trackyard_worker::sandbox::JobOutcome;

use crate::Scenario;
use crate::machine::{Job, Machine};

pub(crate) const ALL: &[Scenario] = &[
    ("missing", |m| expect(m, "true", 514, "missing")),
    ("not_regular_link", |m| expect(m, "ln -s /etc/shadow $2/results.json", 514, "not_regular")),
    ("not_regular_proc_link", |m| expect(m, "ln -s /proc/self/environ $2/results.json", 514, "not_regular")),
    ("not_regular_hard_link", |m| expect(m, "echo {} > $2/a; ln $2/a $2/results.json", 514, "not_regular")),
    ("not_regular_pipe", |m| expect(m, "mkfifo $2/results.json", 514, "not_regular")),
    ("not_regular_dir", |m| expect(m, "mkdir $2/results.json", 514, "not_regular")),
    ("not_regular_dangling_link", |m| expect(m, "ln -s nothing $2/results.json", 514, "not_regular")),
    ("dir_is_a_link", |m| {
        expect(m, "rm -r $2/* && rmdir $2; mv $2 /tmp/x; ln -s /etc $2; true", 514, "missing");
    }),
    ("bad_encoding_mark", |m| expect(m, "printf '\\357\\273\\277{}' > $2/results.json", 514, "bad_encoding")),
    ("malformed_nul", |m| expect(m, "printf '{}\\000' > $2/results.json", 514, "malformed")),
    ("bad_encoding", |m| expect(m, "printf '\"\\377\"' > $2/results.json", 514, "bad_encoding")),
    ("malformed", |m| expect(m, "echo '{} trailing' > $2/results.json", 514, "malformed")),
    ("malformed_empty", |m| expect(m, ": > $2/results.json", 514, "malformed")),
    ("too_deep", |m| expect(m, "yes [ | head -n 60000 > $2/results.json", 514, "too_deep")),
    ("result_size", |m| expect(m, "head -c 512001 /dev/zero > $2/results.json", 402, "result_size")),
    ("result_without_permission", |m| {
        expect(m, "echo {} > $2/results.json; chmod 0 $2/results.json", 200, "ok");
    }),
    ("result_size_sparse", |m| expect(m, "truncate -s 200M $2/results.json", 402, "result_size")),
    ("representation", representation),
];

fn run(machine: &Machine, channel: Channel, script: &str) -> JobOutcome {
    machine.run(&Job { channel, ..Job::new(script) })
}

fn expect(machine: &Machine, script: &str, code: u16, name: &str) {
    let outcome = run(machine, Channel::TestRunners, script);
    assert_eq!((outcome.reason.code(), outcome.reason.as_str()), (code, name), "{outcome:?}");
}

fn representation(machine: &Machine) {
    let script = "echo 'x = 1' > $2/representation.txt; echo '{\"x\": 1}' > $2/mapping.json; \
                  mkfifo $2/representation.json; pwd";
    let outcome = run(machine, Channel::Representers, script);
    assert_eq!(outcome.reason.as_str(), "ok", "{outcome:?}");
    assert_eq!(outcome.files["representation.txt"], b"x = 1\n");
    assert_eq!(outcome.files["mapping.json"], b"{\"x\": 1}\n");
    assert_eq!(outcome.stdout.bytes, b"/opt/representer\n");
    assert_eq!(outcome.hints, ["representation.json was refused: it is not a regular file"]);
}
