//! Entry points for the fuzz targets in `fuzz/`, not for builders.

use crate::driver::{self, DriverError, DriverKind};
use crate::fetch::{self, ResolvedCommit};

/// Returns the commit for a name in the output of `git ls-remote --symref`.
#[must_use]
pub fn find_reference(listing: &str, name: &str) -> Option<ResolvedCommit> {
    fetch::listing::find(listing, name)
}

/// Checks that `driver` supports a Dockerfile with this text.
///
/// # Errors
/// If it has a feature that the driver does not support.
pub fn check_dockerfile(dockerfile: &str, driver: DriverKind) -> Result<(), DriverError> {
    driver::dockerfile::check_text(dockerfile, driver)
}
