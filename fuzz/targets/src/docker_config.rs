//! A Docker configuration with credentials. The text `SECRET` and everything after it are secret.

use trackyard_images::fuzzing::credentials;

/// Checks that errors never quote the file.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = credentials(text, "127.0.0.1:5000") {
        assert!(!error.contains("SECRET"), "{error}");
        assert!(error.len() < 256, "{error}");
    }
}
