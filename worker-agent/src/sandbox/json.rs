//! Checks that a result is JSON and not nested too deeply. Works without recursion, because the text is hostile.

use serde::de::IgnoredAny;

use super::outcome::OutputError;

/// Checks that `bytes` are one JSON text in UTF-8, nested at most `max_depth` deep.
pub(crate) fn check(bytes: &[u8], max_depth: u16) -> Result<(), OutputError> {
    check_text(bytes)?;
    if depth(bytes) > usize::from(max_depth) {
        return Err(OutputError::TooDeep(max_depth));
    }
    // An ignored value is read without recursion. Nothing may follow it.
    serde_json::from_slice::<IgnoredAny>(bytes)
        .map(drop)
        .map_err(|error| OutputError::Malformed(error.to_string()))
}

/// Checks that `bytes` are UTF-8 without a byte order mark.
pub(crate) fn check_text(bytes: &[u8]) -> Result<(), OutputError> {
    let text = std::str::from_utf8(bytes).map_err(|_| OutputError::BadEncoding)?;
    if text.starts_with('\u{feff}') { Err(OutputError::BadEncoding) } else { Ok(()) }
}

/// Returns the deepest nesting; brackets in strings do not count. The value means nothing if the text is not JSON.
fn depth(bytes: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    let mut in_string = false;
    let mut escaped = false;
    for byte in bytes {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'[' | b'{') => depth += 1,
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn checked(bytes: &[u8]) -> &'static str {
        match check(bytes, 3) {
            Ok(()) => "ok",
            Err(OutputError::TooDeep(3)) => "too_deep",
            Err(OutputError::Malformed(_)) => "malformed",
            Err(OutputError::BadEncoding) => "bad_encoding",
            Err(_) => "other",
        }
    }

    #[rstest]
    #[case(b"{\"a\": [1, \"[[[[\\\"[\"]}", "ok")]
    #[case(b"[[[]]]", "ok")]
    #[case(b" 1 ", "ok")]
    #[case(b"[[[[]]]]", "too_deep")]
    #[case(b"", "malformed")]
    #[case(b"{} x", "malformed")]
    #[case(b"{}\0", "malformed")]
    #[case(b"{\"a\": NaN}", "malformed")]
    #[case(b"[1,]", "malformed")]
    #[case(b"\"\xff\"", "bad_encoding")]
    #[case(b"\xef\xbb\xbf{}", "bad_encoding")]
    #[case(b"\"\xed\xa0\x80\"", "bad_encoding")]
    fn verdicts(#[case] bytes: &[u8], #[case] expected: &str) {
        assert_eq!(checked(bytes), expected);
    }

    #[test]
    fn a_million_brackets_do_not_overflow_the_stack() {
        assert_eq!(checked(&vec![b'['; 1 << 20]), "too_deep");
        assert!(matches!(check(&vec![b'['; 60_000], u16::MAX), Err(OutputError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn accepts_what_a_parser_accepts(text in r#"[\[\]{}",:1a\\ ]{0,12}"#) {
            let parsed = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            prop_assert_eq!(check(text.as_bytes(), 100).is_ok(), parsed);
        }
    }
}
