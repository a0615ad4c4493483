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

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Connect to a router and run its jobs until asked to stop
    Listen(Box<ListenArgs>),
    /// Prepare every deployed container version, then exit: 0 if all are ready, 1 if one is not
    Configure(Box<ConfigureArgs>),
    /// Check whether this machine can run jobs, with a remedy for each failed check; exits 1 if one failed
    Doctor(DoctorArgs),
}

/// The worker, its router and its directory.
#[derive(Debug, Clone, Args)]
pub struct WorkerArgs {
    /// The worker's name; if two workers have the same, the newest wins
    #[arg(env = "TRACKYARD_NAME")]
    pub name: WorkerName,
    /// The router's client port and the work: tcp://HOST:PORT/CHANNEL, with ?topic=TRACK for a scoped worker
    #[arg(env = "TRACKYARD_ROUTER_URL")]
    pub router_url: RouterUrl,
    /// A directory for unpacked images, of this worker alone
    #[arg(env = "TRACKYARD_WORKDIR")]
    pub workdir: PathBuf,
    /// The address of the router's workers' port, such as tcp://127.0.0.1:5556; if absent, the client port is asked for
    /// it
    #[arg(long, env = "TRACKYARD_ROUTER_WORKERS", value_name = "ADDR")]
    pub router_workers: Option<String>,
    /// The keys of worker and router.
    #[command(flatten)]
    pub keys: KeyFiles,
    /// The sources that the worker may use.
    #[command(flatten)]
    pub allowed: Allowed,
}

/// Files of CURVE keys.
#[derive(Debug, Clone, Default, Args)]
pub struct KeyFiles {
    /// This worker's CURVE keys, the public one first. With this flag, a router without a key is refused. Generated if
    /// absent
    #[arg(long, env = "TRACKYARD_CURVE_KEY", value_name = "FILE")]
    pub curve_key: Option<PathBuf>,
    /// The router's public key; a router with another is refused. If absent, any key that the router reports is
    /// accepted
    #[arg(long, env = "TRACKYARD_ROUTER_KEY", value_name = "FILE")]
    pub router_key: Option<PathBuf>,
}

/// The sources that this worker may use, whatever its router says. A router on loopback needs no permission.
#[derive(Debug, Clone, Default, Args)]
pub struct Allowed {
    /// An image source that a remote router may name: HOST[:PORT], or the absolute path of a layout directory. Every
    /// --allow-… flag takes several values, separated by commas
    #[arg(
        long = "allow-registry",
        env = "TRACKYARD_ALLOW_REGISTRY",
        value_name = "LOCATION",
        value_delimiter = ','
    )]
    pub registries: Vec<String>,
    /// A bucket that jobs of a remote router may read
    #[arg(
        long = "allow-bucket",
        env = "TRACKYARD_ALLOW_BUCKET",
        value_name = "BUCKET",
        value_delimiter = ','
    )]
    pub buckets: Vec<String>,
    /// A directory below which jobs of a remote router may read file:// submissions
    #[arg(long = "allow-input", env = "TRACKYARD_ALLOW_INPUT", value_name = "DIR", value_delimiter = ',')]
    pub dirs: Vec<PathBuf>,
    /// A prefix of repository URLs that builds of a remote router may fetch
    #[arg(
        long = "allow-repository",
        env = "TRACKYARD_ALLOW_REPOSITORY",
        value_name = "URL",
        value_delimiter = ','
    )]
    pub repositories: Vec<String>,
    /// The S3 endpoint, instead of Amazon's or the one that a router on loopback names; a remote router cannot name one
    #[arg(long, env = "TRACKYARD_S3_ENDPOINT", value_name = "URL")]
    pub s3_endpoint: Option<String>,
    /// Put the bucket into the path of S3 requests
    #[arg(long, env = "TRACKYARD_S3_PATH_STYLE")]
    pub s3_path_style: bool,
    /// The ECR endpoint, instead of Amazon's; tokens are sent nowhere else
    #[arg(long, env = "TRACKYARD_ECR_ENDPOINT", value_name = "URL")]
    pub ecr_endpoint: Option<String>,
    /// A Docker configuration file with credentials of registries
    #[arg(long, env = "TRACKYARD_DOCKER_CONFIG", value_name = "FILE")]
    pub docker_config: Option<PathBuf>,
    /// Certificate authorities (PEM) to trust in addition to the system's, for a registry or a git host of your own
    #[arg(long, env = "TRACKYARD_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

/// The sandbox.
#[derive(Debug, Clone, Args)]
pub struct SandboxArgs {
    /// The runc binary; looked for in PATH if it has no slash
    #[arg(long, env = "TRACKYARD_RUNC", value_name = "PATH", default_value = "runc")]
    pub runc: PathBuf,
    /// A directory on tmpfs for running jobs, shared by the workers of this machine
    #[arg(long, env = "TRACKYARD_RUN_DIR", value_name = "DIR", default_value = "/run/trackyard")]
    pub run_dir: PathBuf,
    /// Run jobs even if this kernel cannot map the owners of layers; inside, files then belong to nobody
    #[arg(long, env = "TRACKYARD_ALLOW_UNMAPPED_LAYERS")]
    pub allow_unmapped_layers: bool,
}

/// The arguments of `listen`.
#[derive(Debug, Clone, Args)]
pub struct ListenArgs {
    /// The worker and its router.
    #[command(flatten)]
    pub worker: WorkerArgs,
    /// Number of jobs that run at a time; the number of processors if absent
    #[arg(long, env = "TRACKYARD_SLOTS", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub slots: Option<u32>,
    /// The address of /livez, /readyz, /metrics and /status.json; not served if absent
    #[arg(long, env = "TRACKYARD_ADMIN", value_name = "ADDR")]
    pub admin: Option<SocketAddr>,
    /// Time that running jobs have to end after SIGTERM; after that they are returned to the router
    #[arg(long, env = "TRACKYARD_DRAIN_TIMEOUT", value_name = "TIME", default_value = "60s")]
    pub drain_timeout: HumanDuration,
    /// The pool that this worker belongs to
    #[arg(long, env = "TRACKYARD_POOL", value_name = "NAME")]
    pub pool: Option<PoolName>,
    /// The sandbox.
    #[command(flatten)]
    pub sandbox: SandboxArgs,
    /// The ceilings of all jobs.
    #[command(flatten)]
    pub ceilings: Ceilings,
    /// The options of builders.
    #[command(flatten)]
    pub builder: BuilderArgs,
}

/// The arguments of `configure`.
#[derive(Debug, Clone, Args)]
pub struct ConfigureArgs {
    /// The worker and its router.
    #[command(flatten)]
    pub worker: WorkerArgs,
    /// Time after which preparation is given up
    #[arg(long, env = "TRACKYARD_CONFIGURE_TIMEOUT", value_name = "TIME", default_value = "15m")]
    pub timeout: HumanDuration,
    /// The sandbox.
    #[command(flatten)]
    pub sandbox: SandboxArgs,
}

/// The arguments of `doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// The worker's directory
    #[arg(env = "TRACKYARD_WORKDIR", default_value = "/var/lib/trackyard")]
    pub workdir: PathBuf,
    /// A directory to search for the builders' programs before PATH
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
    fn command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_has_a_variable() {
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
    fn worker_name_and_scope() {
        let line =
            "trackyard-worker listen w1 tcp://127.0.0.1:5555/test_runners?topic=ruby /srv/w1 --slots 2";
        let Command::Listen(listen) = Cli::try_parse_from(line.split(' ')).unwrap().command else {
            panic!("not listen")
        };
        assert_eq!((listen.worker.name.as_str(), listen.slots), ("w1", Some(2)));
        assert_eq!(listen.drain_timeout, HumanDuration::from_secs(60));
    }

    #[test]
    fn ceilings_lower_limits() {
        let line =
            "trackyard-worker listen w1 tcp://r:5555/test_runners /srv/w1 --max-memory 1Gi --max-wall 10s";
        let Command::Listen(listen) = Cli::try_parse_from(line.split(' ')).unwrap().command else {
            panic!("not listen")
        };
        let limits = listen.ceilings.over(&Limits::default());
        assert_eq!(limits.memory.to_string(), "1Gi");
        assert_eq!(limits.wall_max, HumanDuration::from_secs(10));
    }
}
