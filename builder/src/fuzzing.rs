//! Doors for the fuzz targets in `fuzz/`; no part of what a builder uses.

use crate::driver::{self, DriverKind};
use crate::fetch::{self, Resolved};

/// The commit that the output of `git ls-remote --symref` has for a name.
#[must_use]
pub fn find(listing: &str, name: &str) -> Option<Resolved> {
    fetch::listing::find(listing, name)
}

/// Refuses a Dockerfile's text for what `driver` cannot build.
///
/// # Errors
/// If there is such a thing.
pub fn check(dockerfile: &str, driver: DriverKind) -> Result<(), driver::Error> {
    driver::dockerfile::check_text(dockerfile, driver)
}
