//! An `index.json` that gets one more tag. The first line is the tag.

use trackyard_images::fuzzing::{DocumentKind, document, is_tag, tagged};
use trackyard_protocol::version::Digest;

/// What is written is an index, it is not written a second time, and another image does not get the name.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (name, index) = text.split_once('\n').unwrap_or(("x", text));
    if !is_tag(name) {
        return;
    }
    let [one, other] = [1, 2].map(|byte| Digest::from_sha256(&[byte; 32]));
    if let Ok(Some(written)) = tagged(index.as_bytes(), name, &one) {
        assert!(matches!(document(None, &written), Ok(DocumentKind::Index(_))));
        assert_eq!(tagged(&written, name, &one), Ok(None), "it is there");
        assert_eq!(tagged(&written, name, &other), Ok(None), "it is another image's");
    }
}
