//! A Dockerfile, before it is built.

use strum::IntoEnumIterator;
use trackyard_builder::driver::{DriverError, DriverKind};
use trackyard_builder::fuzzing::check;

/// What is refused names a line that is there and a driver that takes it.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for driver in DriverKind::iter() {
        match check(&text, driver) {
            Ok(()) => {}
            Err(DriverError::Unsupported { line, alternative, .. }) => {
                assert!((1..=text.lines().count()).contains(&line));
                assert!(alternative != driver && check(&text, alternative).is_ok());
            }
            Err(error) => panic!("{error}"),
        }
    }
}
