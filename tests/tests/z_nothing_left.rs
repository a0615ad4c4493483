//! Checks what the whole suite left on the machine.
//!
//! This must run after all other tests. Cargo runs test targets in alphabetical order, so the name of this one begins
//! with `z`; another order, such as that of a parallel runner, would make the check useless.
#![cfg(test)]

use e2e::leftovers::{cgroups, mounts, processes};
use e2e::router::Router;
use e2e::stage::Stage;
use e2e::wait::{seconds, wait_until};
use e2e::worker::WorkerOptions;

#[test]
fn nothing_is_left_after_the_suite() {
    assert_eq!(mounts(), Vec::<String>::new());
    wait_until(seconds(5), "no job runs", || processes().is_empty());
    // Tests that kill workers leave empty groups, which the next worker removes.
    let stage = Stage::new();
    let router = Router::start(&stage.config());
    drop(WorkerOptions::new("sweeper").start(&router));
    assert_eq!(cgroups(), Vec::<std::path::PathBuf>::new());
}
