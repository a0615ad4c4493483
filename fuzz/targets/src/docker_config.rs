//! A Docker configuration with credentials. What follows the text `SECRET` in it, and that itself, is secret.

use trackyard_images::fuzzing::credentials;

/// An error never shows what the file holds.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = credentials(text, "127.0.0.1:5000") {
        assert!(!error.contains("SECRET"), "{error}");
        assert!(error.len() < 256, "{error}");
    }
}
