//! `local up`: everything, until Ctrl-C.

use std::path::PathBuf;

use clap::Args;
use trackyard_protocol::quantity::Bytes;

use super::lifecycle::with_platform;
use super::platform::{Options, Platform};
use super::{Error, PartsArgs, layouts, plan};
use crate::console::Console;
use crate::error::Error as CommandError;
use crate::exit_code::Code;

/// Arguments of `local up`.
#[derive(Debug, Args)]
pub(super) struct Up {
    #[command(flatten)]
    parts: PartsArgs,
    /// Where to keep everything, for a faster next start [default: a temporary folder, removed at the end]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// A folder below which submissions may lie; may repeat [default: the working folder]
    #[arg(long, value_name = "FOLDER")]
    allow_folder: Vec<PathBuf>,
    /// What one job may use
    #[arg(long, value_name = "SIZE", default_value = "1Gi")]
    memory: Bytes,
}

/// Runs `local up`.
pub(super) async fn run(args: Up, console: Console) -> Result<Code, CommandError> {
    let images = canonical(&args.parts.images)?;
    let versions = layouts::versions(&images)?;
    let scoped = layouts::scoped(&args.parts.scoped, &versions);
    let allowed = if args.allow_folder.is_empty() { vec![PathBuf::from(".")] } else { args.allow_folder };
    let home = Home::new(args.dir)?;
    let options = Options {
        folder: home.path(),
        images,
        versions,
        workers: plan::all_workers(&scoped),
        slots: args.parts.slots,
        folders: allowed.iter().map(canonical).collect::<Result<_, _>>()?,
        memory: args.memory,
        repositories: None,
        usual_ports: true,
    };
    let shown = home.path();
    let result = with_platform(options, console, async |platform| {
        console.data(&announcement(platform, &shown.display().to_string()))?;
        std::future::pending::<Result<Code, CommandError>>().await
    });
    let result = match result.await {
        Ok((code, _)) => Ok(code),
        Err(CommandError::Local(Error::Interrupted)) => Ok(Code::Done),
        Err(error) => Err(error),
    };
    home.leave(console)?;
    result
}

/// What a person needs to know now.
fn announcement(platform: &Platform, folder: &str) -> String {
    let router = platform.router();
    let flag = if router.ends_with(":5555") { String::new() } else { format!(" --router {router}") };
    let mut lines = vec![
        format!("router    {router}"),
        format!("s3        {} (bucket submissions; keys in {folder}/s3.env)", platform.storage.endpoint()),
        format!("logs      {folder}/log"),
    ];
    lines.extend(
        platform.admin_addresses().map(|(name, at)| format!("admin     http://{at}/status.json  {name}")),
    );
    lines.push(String::new());
    lines.push("All is up, until Ctrl-C. In another terminal:".to_owned());
    lines.push(format!("  trackyard status{flag}"));
    lines.push(format!("  trackyard submit FOLDER --track ruby --exercise leap{flag}"));
    lines.join("\n")
}

/// The folder of everything: the user's, which stays, or one that goes.
#[derive(Debug)]
pub(super) enum Home {
    /// The user's.
    Kept(PathBuf),
    /// A temporary one.
    Temporary(tempfile::TempDir),
}

impl Home {
    /// The folder, made if it is missing.
    pub(super) fn new(kept: Option<PathBuf>) -> Result<Self, Error> {
        let Some(path) = kept else {
            let made = tempfile::Builder::new().prefix("trackyard-local-").tempdir();
            return made.map(Self::Temporary).map_err(Error::system("make a temporary folder"));
        };
        std::fs::create_dir_all(&path).map_err(Error::file("make the folder", &path))?;
        canonical(&path).map(Self::Kept)
    }

    /// Where it is.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::Kept(path) => path.clone(),
            Self::Temporary(folder) => folder.path().to_owned(),
        }
    }

    /// Removes it, if it is a temporary one; says where it is, if not.
    pub(super) fn leave(self, console: Console) -> Result<(), Error> {
        match self {
            Self::Kept(path) => console.say(&format!("local: {} is kept", path.display())),
            Self::Temporary(folder) => {
                folder.close().map_err(Error::system("remove the temporary folder"))?;
            }
        }
        Ok(())
    }
}

/// A path as all parts see it.
pub(super) fn canonical(path: impl AsRef<std::path::Path>) -> Result<PathBuf, Error> {
    let path = path.as_ref();
    std::fs::canonicalize(path).map_err(Error::file("find", path))
}
