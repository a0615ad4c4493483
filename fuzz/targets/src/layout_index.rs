//! Adding a tag to an `index.json`. The first line is the tag.

use trackyard_images::fuzzing::{DocumentKind, add_tag, is_tag, parse_document};
use trackyard_protocol::version::Digest;

/// Checks that the new file is an index, and that an immutable tag is never written again.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (name, index) = text.split_once('\n').unwrap_or(("x", text));
    if !is_tag(name) {
        return;
    }
    let [one, other] = [1, 2].map(|byte| Digest::from_sha256(&[byte; 32]));
    if let Ok(Some(written)) = add_tag(index.as_bytes(), name, &one) {
        assert!(matches!(parse_document(None, &written), Ok(DocumentKind::Index(_))));
        assert_eq!(add_tag(&written, name, &one), Ok(None), "the tag exists");
        assert_eq!(add_tag(&written, name, &other), Ok(None), "the tag names another image");
    }
}
