//! `expected.json`: the expected verdict of each example.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::{ExerciseSlug, TrackSlug};
use trackyard_protocol::uri::is_plain_path;

use crate::local::LocalError;
use crate::verdict::Counts;

/// Maximum size of `expected.json`.
const MAX_BYTES: u64 = 1 << 20;

/// An example and its expected verdict.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    /// The channel.
    pub(super) channel: Channel,
    /// The track.
    pub(super) track: TrackSlug,
    /// The exercise.
    pub(super) exercise: ExerciseSlug,
    /// The submission's directory, relative to the examples.
    pub(super) dir: String,
    /// How many seconds its container may run.
    #[serde(default)]
    pub(super) execution_timeout: Option<u32>,
    /// The status code.
    pub(super) status_code: u16,
    /// The accepted reasons.
    pub(super) reason: Vec<String>,
    /// The test runner's status.
    #[serde(default)]
    pub(super) result: Option<String>,
    /// The number of tests by outcome.
    #[serde(default)]
    pub(super) tests: Option<Counts>,
    /// The analyzer's summary.
    #[serde(default)]
    pub(super) summary: Option<String>,
    /// The analyzer's comments, in order.
    #[serde(default)]
    pub(super) comments: Option<Vec<String>>,
    /// The directory of the example whose representation must be the same.
    #[serde(default)]
    pub(super) same_as: Option<String>,
}

impl Expected {
    /// Reads `expected.json` in the examples' directory. All directories that it names must exist.
    pub(super) fn load(examples: &Path) -> Result<Vec<Self>, LocalError> {
        let path = examples.join("expected.json");
        let mut text = String::new();
        let file = File::open(&path).map_err(LocalError::file("open", &path))?;
        file.take(MAX_BYTES).read_to_string(&mut text).map_err(LocalError::file("read", &path))?;
        let all: Vec<Self> = serde_json::from_str(&text)
            .map_err(|error| LocalError::Examples(format!("{}: {error}", path.display())))?;
        match all.iter().find(|one| !is_plain_path(&one.dir) || !examples.join(&one.dir).is_dir()) {
            Some(Self { dir, .. }) => {
                Err(LocalError::Examples(format!("there is no directory {dir} in {}", examples.display())))
            }
            None => Ok(all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Vec<Expected>, LocalError> {
        let examples = tempfile::tempdir().unwrap();
        std::fs::create_dir(examples.path().join("a")).unwrap();
        std::fs::write(examples.path().join("expected.json"), text).unwrap();
        Expected::load(examples.path())
    }

    fn entry(dir: &str, more: &str) -> String {
        format!(
            r#"[{{"channel": "test_runners", "track": "ruby", "exercise": "leap", "dir": "{dir}",
                "status_code": 200, "reason": ["ok"], "result": "pass",
                "tests": {{"pass": 2, "fail": 0, "error": 0}}{more}}}]"#
        )
    }

    #[test]
    fn an_entry_is_read() {
        let all = load(&entry("a", "")).unwrap();
        assert_eq!(all[0].tests, Some(Counts { pass: 2, fail: 0, error: 0 }));
    }

    #[test]
    fn wrong_entries_are_refused() {
        for (text, named) in [
            (entry("b", ""), "no directory b"),
            (entry("../a", ""), "no directory ../a"),
            (entry("a", r#", "sumary": "x""#), "sumary"),
        ] {
            assert!(load(&text).unwrap_err().to_string().contains(named));
        }
    }
}
