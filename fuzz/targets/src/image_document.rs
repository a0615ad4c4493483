//! A manifest or an index, from a registry or a layout directory. The first line is the media type that came with it.

use trackyard_images::fuzzing::{DocumentKind, parse_document};

/// Checks that a document has the same kind without its media type, and that errors are short.
pub fn run(bytes: &[u8]) {
    let (media_type, body) = bytes.split_once_at(b'\n');
    let media_type = std::str::from_utf8(media_type).ok().filter(|media_type| !media_type.is_empty());
    match parse_document(media_type, body) {
        Ok(read) => {
            assert_eq!(parse_document(None, body).as_ref(), Ok(&read));
            if let DocumentKind::Manifest(layers, checked) = read {
                assert!(checked.is_err() || (1..=127).contains(&layers));
            }
        }
        Err(error) => assert!(error.to_string().len() < 4096, "{error}"),
    }
}

trait SplitOnce {
    fn split_once_at(&self, byte: u8) -> (&[u8], &[u8]);
}

impl SplitOnce for [u8] {
    fn split_once_at(&self, byte: u8) -> (&[u8], &[u8]) {
        let at = self.iter().position(|other| *other == byte).unwrap_or(self.len());
        let (before, after) = self.split_at_checked(at).unwrap_or((self, &[]));
        (before, after.get(1..).unwrap_or_default())
    }
}
