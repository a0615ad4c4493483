//! The check of a Dockerfile before it is built.

use strum::IntoEnumIterator;
use trackyard_builder::driver::{DriverError, DriverKind};
use trackyard_builder::fuzzing::check_dockerfile;

/// Checks that a refusal names an existing line and a driver that accepts the Dockerfile.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for driver in DriverKind::iter() {
        match check_dockerfile(&text, driver) {
            Ok(()) => {}
            Err(DriverError::Unsupported { line, alternative, .. }) => {
                assert!((1..=text.lines().count()).contains(&line));
                assert!(alternative != driver && check_dockerfile(&text, alternative).is_ok());
            }
            Err(error) => panic!("{error}"),
        }
    }
}
