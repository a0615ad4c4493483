//! The command line of the router.

mod endpoint;

use std::net::SocketAddr;
use std::path::PathBuf;

use trackyard_daemon::logs::LogArgs;
use trackyard_protocol::quantity::{Bytes, HumanDuration};

pub use endpoint::Endpoint;

use crate::caller::{PlainPeers, PlainRight};

/// Takes jobs from clients, dispatches them to workers, and answers.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "trackyard-router", version)]
pub struct Args {
    /// The configuration file, in YAML; it is rewritten when a client deploys or unloads a version
    #[arg(env = "TRACKYARD_CONFIG", value_name = "CONFIG.yml")]
    pub config: PathBuf,
    /// In a cluster: the worker namespace, whose ContainerVersions are the deployed versions and whose WorkerPools may
    /// start workers. Versions in CONFIG.yml are ignored then, and the file is never written
    #[arg(long, env = "TRACKYARD_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,
    /// File that is copied to CONFIG.yml if that does not exist
    #[arg(long, env = "TRACKYARD_SEED", value_name = "FILE")]
    pub seed: Option<PathBuf>,
    /// Let workers that were configured before this start finish their jobs and bootstrap again
    #[arg(long, env = "TRACKYARD_FORCE_WORKER_RESTART")]
    pub force_worker_restart: bool,
    /// Endpoint for clients
    #[arg(long, env = "TRACKYARD_CLIENTS", value_name = "ENDPOINT", default_value = "tcp://127.0.0.1:5555")]
    pub clients: Endpoint,
    /// Endpoint for workers
    #[arg(long, env = "TRACKYARD_WORKERS", value_name = "ENDPOINT", default_value = "tcp://127.0.0.1:5556")]
    pub workers: Endpoint,
    /// Address for /livez, /readyz, /metrics and /status.json
    #[arg(long, env = "TRACKYARD_ADMIN", value_name = "ADDR", default_value = "127.0.0.1:9180")]
    pub admin: SocketAddr,
    /// Docker configuration file whose `auths` hold the registry's credentials
    #[arg(long, env = "TRACKYARD_DOCKER_CONFIG", value_name = "FILE")]
    pub docker_config: Option<PathBuf>,
    /// Certificate authorities (PEM) to trust besides those of the system, for a registry of your own
    #[arg(long, env = "TRACKYARD_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// ECR endpoint other than Amazon's
    #[arg(long, env = "TRACKYARD_ECR_ENDPOINT", value_name = "URL")]
    pub ecr_endpoint: Option<String>,
    /// File with the router's CURVE keys, the public one first. With it workers must prove an allowed key, and
    /// connections are encrypted. Needs --allowed
    #[arg(long, env = "TRACKYARD_KEY", value_name = "FILE", requires = "allowed")]
    pub key: Option<PathBuf>,
    /// File with the allowed keys: lines of `work`, `submit` or `administer`, a public key and, if you like, a name. It
    /// may be edited while the router runs
    #[arg(long, env = "TRACKYARD_ALLOWED", value_name = "FILE", requires = "key")]
    pub allowed: Option<PathBuf>,
    /// Endpoint for clients with an allowed key, besides the one for those without. Needs --key
    #[arg(long, env = "TRACKYARD_KEYED_CLIENTS", value_name = "ENDPOINT", requires = "key")]
    pub keyed_clients: Option<Endpoint>,
    /// What clients without a key may do that connect from other machines
    #[arg(long, env = "TRACKYARD_PLAIN_PEERS_MAY", value_enum, default_value_t = PlainRight::Submit)]
    pub plain_peers_may: PlainRight,
    /// What clients without a key may do that connect from this machine. Choose `submit` if others can connect through
    /// this machine: by a proxy, or by a step of a build
    #[arg(long, env = "TRACKYARD_LOCAL_PEERS_MAY", value_enum, default_value_t = PlainRight::Everything)]
    pub local_peers_may: PlainRight,
    /// Memory that the router may use. Above three quarters of it, answers of more than 1Ki are refused instead of kept
    /// for clients that do not read. Without it, the limit is that of the cgroup, or the machine's memory
    #[arg(long, env = "TRACKYARD_MEMORY", value_name = "SIZE")]
    pub memory: Option<Bytes>,
    /// Time for running jobs to finish after SIGTERM
    #[arg(long, env = "TRACKYARD_DRAIN_TIMEOUT", value_name = "TIME", default_value = "90s")]
    pub drain_timeout: HumanDuration,
    /// The options for logs
    #[command(flatten)]
    pub logs: LogArgs,
}

impl Args {
    /// Returns what clients without a key may do.
    #[must_use]
    pub const fn plain_peers(&self) -> PlainPeers {
        PlainPeers { local: self.local_peers_may, elsewhere: self.plain_peers_may }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[test]
    fn defaults_are_loopback() {
        let args = Args::try_parse_from(["trackyard-router", "c.yml"]).unwrap();
        assert!(args.clients.is_loopback() && args.workers.is_loopback() && args.admin.ip().is_loopback());
        assert_eq!(args.plain_peers_may, PlainRight::Submit);
        assert_eq!(args.local_peers_may, PlainRight::Everything);
    }

    #[test]
    fn every_flag_has_an_environment_variable() {
        for flag in Args::command().get_arguments() {
            let name = flag.get_id().as_str();
            let env = flag.get_env().map(|env| env.to_string_lossy().into_owned());
            assert!(env.is_some_and(|env| env.starts_with("TRACKYARD_")), "{name}");
        }
    }
}
