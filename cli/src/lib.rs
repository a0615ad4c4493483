//! The command line of Trackyard: `submit`, `status`, `build`, `deploy`, `unload`, `versions`, `keys`, `lint`, and
//! `local`, a whole Trackyard on one machine.
//!
//! [`command`] has the commands. Pure functions format what is shown ([`verdict`], [`table`]); [`router`] asks the
//! router; [`local`] runs the router, the workers and the S3 API of `local`.

pub mod args;
pub mod build;
pub mod command;
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

use command::Cli;
use console::Console;
use error::CommandError;
use exit_code::Code;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> std::process::ExitCode {
    let console = Console;
    match Cli::try_parse() {
        Ok(cli) => finish(console, cli.command.run(console)).into(),
        // clap writes help to standard output and errors to standard error. Nothing can be done if that fails.
        Err(shown) => {
            let _ = shown.print();
            if shown.use_stderr() { Code::Usage } else { Code::Done }.into()
        }
    }
}

fn finish(console: Console, result: Result<Code, CommandError>) -> Code {
    match result {
        Ok(code) => code,
        Err(error) if error.is_closed_pipe() => Code::Done,
        Err(error) => {
            console.error(&error.to_string(), error.hint().as_deref());
            error.code()
        }
    }
}
