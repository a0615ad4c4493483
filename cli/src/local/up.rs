//! `local up`: runs a platform until Ctrl-C.

use std::path::PathBuf;

use clap::Args;
use trackyard_protocol::quantity::Bytes;

use super::lifecycle::with_platform;
use super::platform::{Platform, PlatformOptions};
use super::state_dir::{StateDir, canonical};
use super::{PlatformArgs, layouts, plan};
use crate::console::Console;
use crate::error::CommandError;
use crate::exit_code::Code;

/// Arguments of `local up`.
#[derive(Debug, Args)]
pub(super) struct UpArgs {
    #[command(flatten)]
    platform: PlatformArgs,
    /// A directory to keep all files in, for a faster next start [default: a temporary one, removed at the end]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// A directory whose submissions may be run; repeatable [default: the working directory]
    #[arg(long, value_name = "DIR")]
    allow_dir: Vec<PathBuf>,
    /// The memory limit of a job
    #[arg(long, value_name = "SIZE", default_value = "1Gi")]
    memory: Bytes,
}

/// Runs `local up`.
pub(super) async fn run(args: UpArgs, console: Console) -> Result<Code, CommandError> {
    let images = canonical(&args.platform.images)?;
    let versions = layouts::find_versions(&images)?;
    let scoped = layouts::scoped_tracks(&args.platform.scoped, &versions);
    let allowed = if args.allow_dir.is_empty() { vec![PathBuf::from(".")] } else { args.allow_dir };
    let state_dir = StateDir::new(args.dir)?;
    let dir = state_dir.path();
    let options = PlatformOptions {
        dir: dir.clone(),
        images,
        versions,
        workers: plan::all_workers(&scoped),
        slots: args.platform.slots,
        dirs: allowed.iter().map(canonical).collect::<Result<_, _>>()?,
        memory: args.memory,
        repositories: None,
        use_default_ports: true,
    };
    let result = with_platform(options, console, async |platform| {
        console.data(&announcement(platform, &dir.display().to_string()))?;
        std::future::pending::<Result<Code, CommandError>>().await
    });
    let result = match result.await {
        Ok((code, _)) => Ok(code),
        Err(CommandError::Interrupted) => Ok(Code::Done),
        Err(error) => Err(error),
    };
    state_dir.close(console)?;
    result
}

/// Describes the running platform, and what to type next.
fn announcement(platform: &Platform, dir: &str) -> String {
    let router = platform.router();
    let flag = if router.ends_with(":5555") { String::new() } else { format!(" --router {router}") };
    let mut lines = vec![
        format!("router    {router}"),
        format!("s3        {} (bucket submissions; keys in {dir}/s3.env)", platform.storage.endpoint()),
        format!("logs      {dir}/log"),
    ];
    for (name, address) in platform.admin_addresses() {
        lines.push(format!("admin     http://{address}/status.json  {name}"));
    }
    lines.push(String::new());
    lines.push("Everything is running, until Ctrl-C. In another terminal:".to_owned());
    lines.push(format!("  trackyard status{flag}"));
    lines.push(format!("  trackyard submit DIR --track ruby --exercise leap{flag}"));
    lines.join("\n")
}
