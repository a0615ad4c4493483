//! The result files of a job: a byte for the channel, a byte for the kind of the files, and their content.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use trackyard_protocol::channel::Channel;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::quantity::Bytes;
use trackyard_worker::fuzzing::collect;
use trackyard_worker::sandbox::EntryScript;

const MAX_DEPTH: u16 = 20;
const MAX_RESULT_BYTES: usize = 2048;

/// A collected file is a regular file within bounds. It is valid JSON if its name ends in `.json`. Valid JSON is always
/// collected.
pub fn run(bytes: &[u8]) {
    let [channel, kind, content @ ..] = bytes else { return };
    let channel = Channel::TOOLING.get(usize::from(*channel) % 3).copied().unwrap_or(Channel::TestRunners);
    let entry = EntryScript::candidates(channel).next().expect("tooling has an entry");
    let dir = tempfile::Builder::new().prefix("trackyard-fuzz-").tempdir().expect("the directory can be created");
    let limits = Limits { result: Bytes(2048), result_depth: MAX_DEPTH, ..Limits::default() };
    let names = [entry.result()].into_iter().chain(entry.outputs().iter().copied());
    names.for_each(|name| create(dir.path(), name, *kind, content));
    let files = collect(File::open(dir.path()).expect("the directory exists").as_fd(), entry, &limits);
    let is_plain = matches!(kind, b'f');
    assert!(is_plain || files.is_empty(), "something other than a regular file was read");
    for (name, bytes) in &files {
        assert!(bytes == content && bytes.len() <= MAX_RESULT_BYTES);
        let text = std::str::from_utf8(bytes).expect("the file is UTF-8");
        let is_json = name.strip_suffix(".json").is_some();
        assert!(!is_json || serde_json::from_str::<Box<serde_json::value::RawValue>>(text).is_ok());
    }
    let parsed = serde_json::from_slice(content).ok();
    let is_good = parsed.is_some_and(|value| depth(&value) <= usize::from(MAX_DEPTH));
    assert!(!(is_plain && is_good && content.len() <= MAX_RESULT_BYTES) || files.contains_key(entry.result()));
}

fn create(dir: &Path, name: &str, kind: u8, content: &[u8]) {
    let file = dir.join(name);
    let other = dir.join(format!("{name}.other"));
    let made = match kind {
        b'l' => fs::write(&other, content).and_then(|()| symlink(&other, file)),
        b'h' => fs::write(&other, content).and_then(|()| fs::hard_link(&other, file)),
        b'd' => fs::create_dir(file),
        b'f' => fs::write(file, content),
        _ => Ok(()),
    };
    made.expect("the file can be created");
}

fn depth(value: &serde_json::Value) -> usize {
    let below: Vec<&serde_json::Value> = match value {
        serde_json::Value::Array(items) => items.iter().collect(),
        serde_json::Value::Object(fields) => fields.values().collect(),
        _ => return 0,
    };
    1 + below.into_iter().map(depth).max().unwrap_or(0)
}
