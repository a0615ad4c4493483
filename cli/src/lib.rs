//! The user's command line: `submit`, `status`, `deploy`, `unload`, `versions`, `keys`, `lint`, and `local`, a whole Trackyard on one
//! machine.
//!
//! What is shown is made by pure functions ([`verdict`], [`table`]); talking to the router is in [`router`]; the
//! platform of `local`, with its processes and its storage, is in [`local`].

pub mod args;
pub mod build;
pub mod console;
pub mod error;
pub mod exit_code;
pub mod keys;
pub mod lint;
pub mod local;
pub mod router;
pub mod status;
pub mod submit;
pub mod table;
pub mod verdict;
pub mod versions;

use clap::Parser;

use args::{Cli, Command};
use console::Console;
use error::Error;
use exit_code::Code;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> std::process::ExitCode {
    let console = Console;
    match Cli::try_parse() {
        Ok(cli) => finish(console, run(cli, console)).into(),
        // clap writes help to standard output and errors to standard error; a closed one changes nothing.
        Err(shown) => {
            let _ = shown.print();
            if shown.use_stderr() { Code::Usage } else { Code::Done }.into()
        }
    }
}

fn run(cli: Cli, console: Console) -> Result<Code, Error> {
    match cli.command {
        Command::Submit(args) => submit::run(&args, console),
        Command::Status(args) => status::run(&args, console),
        Command::Build(args) => build::run(&args, console),
        Command::Deploy(args) => versions::deploy(&args, console),
        Command::Unload(args) => versions::unload(&args, console),
        Command::Versions(args) => versions::list(&args, console),
        Command::Keys(args) => keys::run(&args, console),
        Command::Lint(args) => lint::run(&args, console),
        Command::Local(args) => local::run(args, console),
    }
}

fn finish(console: Console, result: Result<Code, Error>) -> Code {
    match result {
        Ok(code) => code,
        Err(error) if error.is_closed_pipe() => Code::Done,
        Err(error) => {
            console.error(&error.to_string(), error.hint().as_deref());
            error.code()
        }
    }
}
