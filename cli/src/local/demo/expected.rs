//! `expected.json`: how each example must end.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::{ExerciseSlug, TrackSlug};
use trackyard_protocol::uri::is_plain_path;

use crate::local::Error;
use crate::verdict::Counts;

const MAX_BYTES: u64 = 1 << 20;

/// One example and its verdict.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    /// The channel.
    pub(super) channel: Channel,
    /// The track.
    pub(super) track: TrackSlug,
    /// The exercise.
    pub(super) exercise: ExerciseSlug,
    /// The submission's directory, in the examples.
    pub(super) dir: String,
    /// How long its container may run.
    #[serde(default)]
    pub(super) execution_timeout: Option<u32>,
    /// The status code.
    pub(super) status_code: u16,
    /// The reason: one of these.
    pub(super) reason: Vec<String>,
    /// The test runner's status.
    #[serde(default)]
    pub(super) result: Option<String>,
    /// How many tests end in which way.
    #[serde(default)]
    pub(super) tests: Option<Counts>,
    /// The analyzer's summary.
    #[serde(default)]
    pub(super) summary: Option<String>,
    /// The analyzer's comments, in order.
    #[serde(default)]
    pub(super) comments: Option<Vec<String>>,
    /// The directory whose representation is the same.
    #[serde(default)]
    pub(super) same_as: Option<String>,
}

impl Expected {
    /// Reads `expected.json` in the examples' directory; every directory it names must be there.
    pub(super) fn load(examples: &Path) -> Result<Vec<Self>, Error> {
        let path = examples.join("expected.json");
        let mut text = String::new();
        let file = File::open(&path).map_err(Error::file("open", &path))?;
        file.take(MAX_BYTES).read_to_string(&mut text).map_err(Error::file("read", &path))?;
        let all: Vec<Self> = serde_json::from_str(&text)
            .map_err(|error| Error::Examples(format!("{}: {error}", path.display())))?;
        let missing = |one: &&Self| !is_plain_path(&one.dir) || !examples.join(&one.dir).is_dir();
        match all.iter().find(missing) {
            Some(one) => {
                Err(Error::Examples(format!("there is no directory {} in {}", one.dir, examples.display())))
            }
            None => Ok(all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Vec<Expected>, Error> {
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
    fn a_missing_dir_and_a_misspelt_field_are_named() {
        for (text, named) in [
            (entry("b", ""), "no directory b"),
            (entry("../a", ""), "no directory ../a"),
            (entry("a", r#", "sumary": "x""#), "sumary"),
        ] {
            assert!(load(&text).unwrap_err().to_string().contains(named));
        }
    }
}
