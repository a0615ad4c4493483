//! Lets tests that measure times, or need the machine for themselves, run one after another.

use std::sync::{Mutex, MutexGuard, PoisonError};

static EXCLUSIVE: Mutex<()> = Mutex::new(());

/// Waits for other exclusive tests of this process, and keeps them waiting until the value is dropped.
pub fn exclusive() -> MutexGuard<'static, ()> {
    EXCLUSIVE.lock().unwrap_or_else(PoisonError::into_inner)
}
