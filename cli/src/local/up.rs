//! `local up`: everything, until Ctrl-C.

use std::path::PathBuf;

use clap::Args;
use trackyard_protocol::quantity::Bytes;

use super::home::{Home, canonical};
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
    /// Where to keep everything, for a faster next start [default: a temporary directory, removed at the end]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// A directory below which submissions may lie; may repeat [default: the working directory]
    #[arg(long, value_name = "DIR")]
    allow_dir: Vec<PathBuf>,
    /// What one job may use
    #[arg(long, value_name = "SIZE", default_value = "1Gi")]
    memory: Bytes,
}

/// Runs `local up`.
pub(super) async fn run(args: Up, console: Console) -> Result<Code, CommandError> {
    let images = canonical(&args.parts.images)?;
    let versions = layouts::versions(&images)?;
    let scoped = layouts::scoped(&args.parts.scoped, &versions);
    let allowed = if args.allow_dir.is_empty() { vec![PathBuf::from(".")] } else { args.allow_dir };
    let home = Home::new(args.dir)?;
    let options = Options {
        dir: home.path(),
        images,
        versions,
        workers: plan::all_workers(&scoped),
        slots: args.parts.slots,
        dirs: allowed.iter().map(canonical).collect::<Result<_, _>>()?,
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
fn announcement(platform: &Platform, dir: &str) -> String {
    let router = platform.router();
    let flag = if router.ends_with(":5555") { String::new() } else { format!(" --router {router}") };
    let mut lines = vec![
        format!("router    {router}"),
        format!("s3        {} (bucket submissions; keys in {dir}/s3.env)", platform.storage.endpoint()),
        format!("logs      {dir}/log"),
    ];
    lines.extend(
        platform.admin_addresses().map(|(name, at)| format!("admin     http://{at}/status.json  {name}")),
    );
    lines.push(String::new());
    lines.push("All is up, until Ctrl-C. In another terminal:".to_owned());
    lines.push(format!("  trackyard status{flag}"));
    lines.push(format!("  trackyard submit DIR --track ruby --exercise leap{flag}"));
    lines.join("\n")
}
