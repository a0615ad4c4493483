//! Is a result JSON, and how deep is it? Without recursion, for the text is hostile.

use serde::de::IgnoredAny;

use super::collect::Fault;

/// Checks that `bytes` are one JSON text in UTF-8, nested at most `max_depth` deep.
pub(crate) fn check(bytes: &[u8], max_depth: u16) -> Result<(), Fault> {
    check_text(bytes)?;
    if depth(bytes) > usize::from(max_depth) {
        return Err(Fault::TooDeep(max_depth));
    }
    // An ignored value is read without recursion, and nothing may follow it.
    serde_json::from_slice::<IgnoredAny>(bytes).map(drop).map_err(|error| Fault::Malformed(error.to_string()))
}

/// Checks that `bytes` are UTF-8 without a byte order mark.
pub(crate) fn check_text(bytes: &[u8]) -> Result<(), Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::BadEncoding)?;
    if text.starts_with('\u{feff}') { Err(Fault::BadEncoding) } else { Ok(()) }
}

/// The deepest nesting, brackets in strings aside. Of a text that is not JSON it is some number.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
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

    fn word(bytes: &[u8]) -> &'static str {
        match check(bytes, 3) {
            Ok(()) => "ok",
            Err(Fault::TooDeep(3)) => "too_deep",
            Err(Fault::Malformed(_)) => "malformed",
            Err(Fault::BadEncoding) => "bad_encoding",
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
        assert_eq!(word(bytes), expected);
    }

    #[test]
    fn a_million_brackets_do_not_overflow_the_stack() {
        assert_eq!(word(&vec![b'['; 1 << 20]), "too_deep");
        assert!(matches!(check(&vec![b'['; 60_000], u16::MAX), Err(Fault::Malformed(_))));
    }

    proptest! {
        #[test]
        fn what_passes_is_what_a_parser_takes(text in r#"[\[\]{}",:1a\\ ]{0,12}"#) {
            let parsed = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            prop_assert_eq!(check(text.as_bytes(), 100).is_ok(), parsed);
        }
    }
}
