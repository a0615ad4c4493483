//! `keys`: CURVE keys.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use trackyard_protocol::keys::{self, KeyPair, PublicKey};

use crate::console::Console;
use crate::error::CommandError;
use crate::exit_code::Code;

/// Arguments of `keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// The command to run.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// A command of `keys`.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key pair: FILE gets both keys and is readable by its owner only, FILE.pub the public one
    New {
        /// The file to write; an existing file is never overwritten
        file: PathBuf,
    },
}

/// Runs `keys`.
///
/// # Errors
/// If a file exists already, or cannot be written.
pub fn run(args: &KeysArgs, console: Console) -> Result<Code, CommandError> {
    let KeysCommand::New { file } = &args.command;
    let pair = KeyPair::generate()?;
    let mut public = OsString::from(file);
    public.push(".pub");
    pair.write(file)?;
    write_public(Path::new(&public), pair.public())?;
    console.data(pair.public().as_str())?;
    console.say(
        "to allow this key, add it to the router's --allowed file, as a line of `submit`, `administer` or `work` and the key",
    );
    Ok(Code::Done)
}

fn write_public(file: &Path, key: &PublicKey) -> Result<(), keys::Error> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o644).open(file);
    let written = opened.and_then(|mut opened| writeln!(opened, "{key}"));
    written.map_err(|source| keys::Error::Io { doing: "write", file: file.to_owned(), source })
}
