//! A manifest or an index, from a registry or a layout directory. The first line is the media type that came with it.

use trackyard_images::fuzzing::{DocumentKind, document};

/// A document is one thing: without its media type too, and what is refused is refused shortly.
pub fn run(bytes: &[u8]) {
    let (media_type, body) = bytes.split_once_at(b'\n');
    let said = std::str::from_utf8(media_type).ok().filter(|media_type| !media_type.is_empty());
    match document(said, body) {
        Ok(read) => {
            assert_eq!(document(None, body).as_ref(), Ok(&read));
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
