//! The difference between a result and the expected one. Pure.

use serde_json::Value;

/// Maximum number of characters that a message shows of each side.
const MAX_SHOWN_CHARS: usize = 200;

/// Returns the first difference, for people, or `None`. JSON is compared by value, other text by lines without trailing
/// blanks.
pub(super) fn difference(name: &str, expected: &[u8], actual: &[u8]) -> Option<String> {
    if name.ends_with(".json")
        && let (Ok(expected), Ok(actual)) = (serde_json::from_slice(expected), serde_json::from_slice(actual))
    {
        return values("", &expected, &actual);
    }
    texts(&String::from_utf8_lossy(expected), &String::from_utf8_lossy(actual))
}

fn values(at: &str, expected: &Value, actual: &Value) -> Option<String> {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            let wanted = expected.iter().find_map(|(key, value)| {
                let at = format!("{at}/{key}");
                let Some(other) = actual.get(key) else { return Some(format!("{at} is missing")) };
                values(&at, value, other)
            });
            wanted.or_else(|| {
                let extra = actual.keys().find(|key| !expected.contains_key(*key))?;
                Some(format!("{at}/{extra} is not expected"))
            })
        }
        (Value::Array(expected), Value::Array(actual)) => {
            let pairs = expected.iter().zip(actual).enumerate();
            let mut found = pairs.map(|(index, (e, a))| values(&format!("{at}/{index}"), e, a));
            found.find_map(|found| found).or_else(|| {
                let (wanted, got) = (expected.len(), actual.len());
                (wanted != got).then(|| format!("{at} has {got} items, expected {wanted}"))
            })
        }
        (expected, actual) if expected == actual => None,
        (expected, actual) => {
            let at = if at.is_empty() { "the result" } else { at };
            Some(format!("{at} is {}, expected {}", shown(actual), shown(expected)))
        }
    }
}

fn texts(expected: &str, actual: &str) -> Option<String> {
    let lines = |text: &str| text.trim_end().lines().map(|l| l.trim_end().to_owned()).collect::<Vec<_>>();
    let (expected, actual) = (lines(expected), lines(actual));
    let longest = expected.len().max(actual.len());
    (0..longest).find_map(|index| {
        let (wanted, got) = (expected.get(index), actual.get(index));
        let show = |line: Option<&String>| line.map_or_else(|| "absent".to_owned(), |line| shown(&line));
        (wanted != got).then(|| format!("line {} is {}, expected {}", index + 1, show(got), show(wanted)))
    })
}

fn shown(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    let cut: String = text.chars().take(MAX_SHOWN_CHARS).collect();
    if cut.len() < text.len() { cut + "…" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("r.json", r#"{"a": 1, "b": [1, 2]}"#, r#"{"b":[1,2],"a":1}"#, None)]
    #[case("r.json", r#"{"a": 1}"#, r#"{"a": "1"}"#, Some("/a is \"1\", expected 1"))]
    #[case("r.json", r#"{"a": {"b": 1}}"#, r#"{"a": {}}"#, Some("/a/b is missing"))]
    #[case("r.json", r#"{}"#, r#"{"c": 1}"#, Some("/c is not expected"))]
    #[case("r.json", "[1, 2]", "[1]", Some(" has 1 items, expected 2"))]
    #[case("r.json", "[1, 2]", "[1, 3]", Some("/1 is 3, expected 2"))]
    #[case("r.json", "1", "2", Some("the result is 2, expected 1"))]
    #[case("r.json", "{", "{}", Some("line 1 is \"{}\", expected \"{\""))]
    #[case("r.txt", "a\nb\n", "a  \nb", None)]
    #[case("r.txt", "a\nb", "a\nc", Some("line 2 is \"c\", expected \"b\""))]
    #[case("r.txt", "a\nb", "a", Some("line 2 is absent, expected \"b\""))]
    fn differences(
        #[case] name: &str,
        #[case] expected: &str,
        #[case] actual: &str,
        #[case] found: Option<&str>,
    ) {
        assert_eq!(difference(name, expected.as_bytes(), actual.as_bytes()).as_deref(), found);
    }

    #[test]
    fn long_value_is_cut() {
        let message = difference("r.json", b"1", format!("\"{}\"", "x".repeat(9999)).as_bytes()).unwrap();
        assert!(message.len() < 300, "{message}");
    }
}
