//! Makes keys.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use trackyard_protocol::keys::{self, KeyPair, PublicKey};

use crate::console::Console;
use crate::error::Error;
use crate::exit_code::Code;

/// `keys`.
#[derive(Debug, Args)]
pub struct Keys {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a new key: FILE, which its owner alone reads, holds both parts, and FILE.pub the public one
    New {
        /// Where to; a file that exists is never overwritten
        file: PathBuf,
    },
}

/// Makes keys.
///
/// # Errors
/// If a file exists, or cannot be written.
pub fn run(args: &Keys, console: Console) -> Result<Code, Error> {
    let Command::New { file } = &args.command;
    let pair = KeyPair::generate()?;
    let mut name = OsString::from(file);
    name.push(".pub");
    let public = PathBuf::from(name);
    pair.write(file)?;
    write_public(&public, pair.public())?;
    console.data(pair.public().as_str())?;
    console.say(
        "to allow it, add a line to the router's --allowed file: submit, administer or work, then this key",
    );
    Ok(Code::Done)
}

fn write_public(file: &Path, key: &PublicKey) -> Result<(), keys::Error> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o644).open(file);
    let written = opened.and_then(|mut opened| writeln!(opened, "{key}"));
    written.map_err(|source| keys::Error::Io { doing: "write", file: file.to_owned(), source })
}
