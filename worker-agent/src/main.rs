//! `trackyard-worker`.

use std::process::ExitCode;

use clap::Parser;
use trackyard_worker::args::Cli;
use trackyard_worker::start;

fn main() -> ExitCode {
    start::start(Cli::parse())
}
