//! An image: a manifest, a line that is `---`, and a configuration.

use std::collections::BTreeSet;

use trackyard_images::fuzzing::image;

const BETWEEN: &[u8] = b"\n---\n";

/// An image has a layer for each of its configuration's, and an environment that a process can be started with.
pub fn run(bytes: &[u8]) {
    let at = bytes.windows(BETWEEN.len()).position(|window| window == BETWEEN).unwrap_or(bytes.len());
    let manifest = bytes.get(..at).unwrap_or_default();
    let config = bytes.get(at + BETWEEN.len()..).unwrap_or_default();
    match image(manifest, config) {
        Ok(image) => {
            assert!((1..=127).contains(&image.layers.len()));
            let sizes = image.layers.iter().try_fold(0_u64, |sum, layer| sum.checked_add(layer.size));
            assert_eq!(sizes, Some(image.total_size));
            let named = |entry: &String| entry.split_once('=').map(|(name, _)| name.to_owned());
            let names: BTreeSet<Option<String>> = image.env.iter().map(named).collect();
            assert_eq!(names.len(), image.env.len(), "no name is set twice");
            assert!(names.iter().all(|name| name.as_ref().is_some_and(|name| !name.is_empty())));
            assert!(!image.env.iter().any(|entry| entry.contains('\0')));
        }
        Err(error) => assert!(error.to_string().len() < 4096, "{error}"),
    }
}
