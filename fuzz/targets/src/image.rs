//! An image: a manifest, a line `---`, and a configuration.

use std::collections::BTreeSet;

use trackyard_images::fuzzing::parse_image;

const SEPARATOR: &[u8] = b"\n---\n";

/// Checks that an image's layers are within the limits, and that a process can be started with its environment.
pub fn run(bytes: &[u8]) {
    let at = bytes.windows(SEPARATOR.len()).position(|window| window == SEPARATOR).unwrap_or(bytes.len());
    let manifest = bytes.get(..at).unwrap_or_default();
    let config = bytes.get(at + SEPARATOR.len()..).unwrap_or_default();
    match parse_image(manifest, config) {
        Ok(image) => {
            assert!((1..=127).contains(&image.layers.len()));
            let sizes = image.layers.iter().try_fold(0_u64, |sum, layer| sum.checked_add(layer.size));
            assert_eq!(sizes, Some(image.total_size));
            let name_of = |entry: &String| entry.split_once('=').map(|(name, _)| name.to_owned());
            let names: BTreeSet<Option<String>> = image.env.iter().map(name_of).collect();
            assert_eq!(names.len(), image.env.len(), "no name is set twice");
            assert!(names.iter().all(|name| name.as_ref().is_some_and(|name| !name.is_empty())));
            assert!(!image.env.iter().any(|entry| entry.contains('\0')));
        }
        Err(error) => assert!(error.to_string().len() < 4096, "{error}"),
    }
}
