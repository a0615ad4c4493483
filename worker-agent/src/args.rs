//! The command line. Every flag is also read from the environment.

pub mod builder;
pub mod ceilings;
pub mod router_url;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use trackyard_daemon::logs::LogArgs;
use trackyard_protocol::name::{PoolName, WorkerName};
use trackyard_protocol::quantity::HumanDuration;

pub use builder::BuilderArgs;
use ceilings::Ceilings;
pub use router_url::RouterUrl;

/// Runs a channel's jobs in runc: pulls container versions, takes jobs from a router, returns the output.
///
/// Exit codes: 0 drained, or everything prepared, or every check passed; 1 it failed; 2 the command line is wrong.
#[derive(Debug, Parser)]
#[command(name = "trackyard-worker", version, max_term_width = 100)]
pub struct Cli {
    /// How to write logs.
    #[command(flatten)]
    pub logs: LogArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What a worker can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Connect to a router and run its jobs until asked to stop
    Listen(Box<Listen>),
    /// Prepare every deployed container version, then exit: 0 if all are ready, 1 if one is not
    Configure(Box<Configure>),
    /// Check whether this machine can run jobs, with a remedy for each failed check; exits 1 if one failed
    Doctor(Doctor),
}

/// Who the worker is and where it works.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// The worker's name; the newest of two workers with one name wins
    #[arg(env = "TRACKYARD_NAME")]
    pub name: WorkerName,
    /// The router's client port and the work: tcp://HOST:PORT/CHANNEL, with ?topic=TRACK for a scoped worker
    #[arg(env = "TRACKYARD_ROUTER_URL")]
    pub router_url: RouterUrl,
    /// A directory of this worker alone, for unpacked images
    #[arg(env = "TRACKYARD_WORKDIR")]
    pub workdir: PathBuf,
    /// The router's workers' port, such as tcp://127.0.0.1:5556, instead of asking the client port for it
    #[arg(long, env = "TRACKYARD_ROUTER_WORKERS", value_name = "ADDR")]
    pub router_workers: Option<String>,
    /// Who this worker is, and whom it believes to be the router.
    #[command(flatten)]
    pub keys: KeyFiles,
    /// What the worker reads and where it gets images.
    #[command(flatten)]
    pub allowed: Allowed,
}

/// Files of CURVE keys.
#[derive(Debug, Clone, Default, Args)]
pub struct KeyFiles {
    /// This worker's CURVE keys, the public one first; with them a router without a key is refused. Fresh ones if absent
    #[arg(long, env = "TRACKYARD_CURVE_KEY", value_name = "FILE")]
    pub curve_key: Option<PathBuf>,
    /// The router's public key: one that says it has another is refused. If absent, the one that it tells is believed
    #[arg(long, env = "TRACKYARD_ROUTER_KEY", value_name = "FILE")]
    pub router_key: Option<PathBuf>,
}

/// What this worker may read, whatever its router says. A router on loopback is trusted without.
#[derive(Debug, Clone, Default, Args)]
pub struct Allowed {
    /// An image source that a router elsewhere may name: HOST[:PORT], or a layout directory's absolute path. Several: with
    /// commas between, as of all --allow-… flags
    #[arg(
        long = "allow-registry",
        env = "TRACKYARD_ALLOW_REGISTRY",
        value_name = "PLACE",
        value_delimiter = ','
    )]
    pub registries: Vec<String>,
    /// A bucket that jobs of a router elsewhere may read
    #[arg(
        long = "allow-bucket",
        env = "TRACKYARD_ALLOW_BUCKET",
        value_name = "BUCKET",
        value_delimiter = ','
    )]
    pub buckets: Vec<String>,
    /// A directory below which jobs of a router elsewhere may read file:// submissions
    #[arg(long = "allow-input", env = "TRACKYARD_ALLOW_INPUT", value_name = "DIR", value_delimiter = ',')]
    pub dirs: Vec<PathBuf>,
    /// Where repositories may be that builds of a router elsewhere fetch: the start of their URLs
    #[arg(
        long = "allow-repository",
        env = "TRACKYARD_ALLOW_REPOSITORY",
        value_name = "URL",
        value_delimiter = ','
    )]
    pub repositories: Vec<String>,
    /// The S3 endpoint, instead of Amazon's or the one that a router on loopback names; that of a router elsewhere is not
    /// used
    #[arg(long, env = "TRACKYARD_S3_ENDPOINT", value_name = "URL")]
    pub s3_endpoint: Option<String>,
    /// Put the bucket into the path of S3 requests
    #[arg(long, env = "TRACKYARD_S3_PATH_STYLE")]
    pub s3_path_style: bool,
    /// The ECR endpoint, instead of Amazon's; tokens are sent nowhere else
    #[arg(long, env = "TRACKYARD_ECR_ENDPOINT", value_name = "URL")]
    pub ecr_endpoint: Option<String>,
    /// A Docker configuration file with user names and passwords of registries
    #[arg(long, env = "TRACKYARD_DOCKER_CONFIG", value_name = "FILE")]
    pub docker_config: Option<PathBuf>,
    /// Certificate authorities (PEM) to trust beside the system's, for a registry or a git host of your own
    #[arg(long, env = "TRACKYARD_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

/// How the sandbox is made.
#[derive(Debug, Clone, Args)]
pub struct SandboxArgs {
    /// The runc binary; looked for in PATH if it has no slash
    #[arg(long, env = "TRACKYARD_RUNC", value_name = "PATH", default_value = "runc")]
    pub runc: PathBuf,
    /// A directory on tmpfs for running jobs, shared by the workers of this machine
    #[arg(long, env = "TRACKYARD_RUN_DIR", value_name = "DIR", default_value = "/run/trackyard")]
    pub run_dir: PathBuf,
    /// Run jobs even if this kernel cannot map layers' owners: files then belong to nobody inside
    #[arg(long, env = "TRACKYARD_ALLOW_UNMAPPED_LAYERS")]
    pub allow_unmapped_layers: bool,
}

/// `listen`.
#[derive(Debug, Clone, Args)]
pub struct Listen {
    /// Who and where.
    #[command(flatten)]
    pub place: Place,
    /// How many jobs run at a time; as many as there are processors if absent
    #[arg(long, env = "TRACKYARD_SLOTS", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub slots: Option<u32>,
    /// Where /livez, /readyz, /metrics and /status.json are served; nowhere if absent
    #[arg(long, env = "TRACKYARD_ADMIN", value_name = "ADDR")]
    pub admin: Option<SocketAddr>,
    /// How long jobs in hand may go on after SIGTERM; those left go back to the router
    #[arg(long, env = "TRACKYARD_DRAIN_TIMEOUT", value_name = "TIME", default_value = "60s")]
    pub drain_timeout: HumanDuration,
    /// The pool that this worker belongs to
    #[arg(long, env = "TRACKYARD_POOL", value_name = "NAME")]
    pub pool: Option<PoolName>,
    /// The sandbox.
    #[command(flatten)]
    pub sandbox: SandboxArgs,
    /// The most that any job gets.
    #[command(flatten)]
    pub ceilings: Ceilings,
    /// What builds.
    #[command(flatten)]
    pub builder: BuilderArgs,
}

/// `configure`.
#[derive(Debug, Clone, Args)]
pub struct Configure {
    /// Who and where.
    #[command(flatten)]
    pub place: Place,
    /// How long to go on trying
    #[arg(long, env = "TRACKYARD_CONFIGURE_TIMEOUT", value_name = "TIME", default_value = "15m")]
    pub timeout: HumanDuration,
    /// The sandbox.
    #[command(flatten)]
    pub sandbox: SandboxArgs,
}

/// `doctor`.
#[derive(Debug, Clone, Args)]
pub struct Doctor {
    /// The directory that the worker will use
    #[arg(env = "TRACKYARD_WORKDIR", default_value = "/var/lib/trackyard")]
    pub workdir: PathBuf,
    /// A directory that is looked into for builders' programs before PATH
    #[arg(long, env = "TRACKYARD_TOOLS", value_name = "DIR")]
    pub tools: Option<PathBuf>,
    /// The sandbox.
    #[command(flatten)]
    pub sandbox: SandboxArgs,
}

#[cfg(test)]
mod tests {
    use super::*;
    use trackyard_protocol::limits::Limits;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_is_also_read_from_the_environment() {
        use clap::CommandFactory;
        let command = Cli::command();
        for sub in command.get_subcommands() {
            for arg in sub.get_arguments().filter(|arg| arg.get_id() != "help" && arg.get_id() != "version") {
                let name = arg.get_env().unwrap_or_else(|| panic!("{} has no variable", arg.get_id()));
                assert!(name.to_str().unwrap().starts_with("TRACKYARD_"), "{name:?}");
            }
        }
    }

    #[test]
    fn a_worker_is_named_and_scoped_as_the_original_was() {
        let words =
            "trackyard-worker listen w1 tcp://127.0.0.1:5555/test_runners?topic=ruby /srv/w1 --slots 2";
        let Command::Listen(listen) = Cli::try_parse_from(words.split(' ')).unwrap().command else {
            panic!("not listen")
        };
        assert_eq!((listen.place.name.as_str(), listen.slots), ("w1", Some(2)));
        assert_eq!(listen.drain_timeout, HumanDuration::from_secs(60));
    }

    #[test]
    fn ceilings_lower_limits() {
        let words =
            "trackyard-worker listen w1 tcp://r:5555/test_runners /srv/w1 --max-memory 1Gi --max-wall 10s";
        let Command::Listen(listen) = Cli::try_parse_from(words.split(' ')).unwrap().command else {
            panic!("not listen")
        };
        let limits = listen.ceilings.over(&Limits::default());
        assert_eq!(limits.memory.to_string(), "1Gi");
        assert_eq!(limits.wall_max, HumanDuration::from_secs(10));
    }
}
