//! A manifest of Trackyard's resources, as `trackyard lint` reads it.

use trackyard_crds::verdict::of_manifest;

/// Any text has a verdict, and it is the same the second time.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let first = of_manifest(text);
    assert_eq!(format!("{first:?}"), format!("{:?}", of_manifest(text)));
}
