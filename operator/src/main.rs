//! The binary; everything is in the library.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use trackyard_operator::args::Args;
use trackyard_operator::run::run;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "trackyard-operator: {error}");
            ExitCode::FAILURE
        }
    }
}
