//! Runs `trackyard local demo`, and checks `docs/demo.svg`, its recording in the README.
#![cfg(test)]

#[path = "recording/svg.rs"]
mod svg;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use e2e::binaries::{binary, require_root};

/// The rows that the recording shows: the beginning of each row, and the worker.
const SHOWN: [(&str, &str); 11] = [
    ("python two-fer/passing", "test-runners"),
    ("python leap/failing", "test-runners"),
    ("python leap/syntax-error", "test-runners"),
    ("python leap/endless-loop", "test-runners"),
    ("python two-fer/too-much-memory", "test-runners"),
    ("python raindrops/too-much-output", "test-runners"),
    ("ruby leap/passing", "test-runners-ruby"),
    ("ruby hello-world/exits", "test-runners-ruby"),
    ("python raindrops/untidy", "static-analyzers"),
    ("python raindrops/renamed", "representers"),
    ("python leap/syntax-error", "representers"),
];

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs the demo with colours over the example images.
fn demo() -> Output {
    require_root();
    let images = std::env::var_os("TRACKYARD_TEST_IMAGES")
        .expect("TRACKYARD_TEST_IMAGES names the example images; run `make test`");
    let mut command = Command::new(binary("trackyard"));
    command
        .args(["local", "demo", "--examples"])
        .arg(checkout().join("examples"))
        .arg("--images")
        .arg(images);
    command.env("CLICOLOR_FORCE", "1").env_remove("NO_COLOR").output().expect("trackyard was just built")
}

/// Returns the recording's text: the command, some rows of the table, and the end of the demo's log.
fn excerpt(table: &str, log: &str) -> String {
    let plain = |line: &str| svg::without_styles(line);
    let is_shown = |line: &&str| {
        let columns: Vec<String> = plain(line).split_whitespace().map(str::to_owned).collect();
        SHOWN.iter().any(|(name, worker)| {
            columns[..2].join(" ") == *name && columns.iter().any(|column| column == worker)
        })
    };
    let (header, rows) = table.split_once('\n').expect("a table");
    let shown: Vec<&str> = rows.lines().filter(is_shown).collect();
    assert_eq!(shown.len(), SHOWN.len(), "{table}");
    let end = log.lines().skip_while(|line| !line.starts_with("demo: all ")).take(3);
    let left_out = format!("… and {} more", rows.lines().count() - shown.len());
    let lines =
        ["$ make demo", "…", header].into_iter().chain(shown).chain([left_out.as_str(), ""]).chain(end);
    lines.collect::<Vec<_>>().join("\n")
}

/// Every verdict of the demo is the expected one, and the committed recording shows the same output, except for times.
#[test]
fn demo_passes_and_recording_is_current() {
    let output = demo();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let table = text(&output.stdout);
    let log = text(&output.stderr);
    assert!(output.status.success(), "{log}\n{table}");
    let recorded = svg::render(&excerpt(&table, &log));
    let path = checkout().join("docs/demo.svg");
    if std::env::var_os("TRACKYARD_WRITE_DOCS").is_some() {
        std::fs::write(&path, recorded).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        svg::stable_text(&committed),
        svg::stable_text(&recorded),
        "docs/demo.svg is stale; `make docs` writes it again"
    );
}
