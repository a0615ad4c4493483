//! The command line.

use std::net::SocketAddr;
use std::str::FromStr;

use kube::Client;
use rustix::system::uname;
use trackyard_daemon::logs::LogArgs;
use trackyard_protocol::allowed::{Allowed, Mistake};

use crate::keys::{KeyPolicy, KeySecrets, SecretRef};
use crate::lease::{LeaderElector, WriteGate};
use crate::pool::build::{AgentSettings, AgentShare};

/// Creates the pods of WorkerPools and reports the state of ContainerVersions.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "trackyard-operator", version)]
pub struct Args {
    /// Namespace of the pools and their pods
    #[arg(long, env = "TRACKYARD_NAMESPACE")]
    pub namespace: String,
    /// Router's client port, as workers reach it
    #[arg(long, env = "TRACKYARD_ROUTER", value_name = "tcp://HOST:PORT")]
    pub router: String,
    /// Router's admin port, for the load report that autoscaling and the readiness of versions need
    #[arg(long, env = "TRACKYARD_ROUTER_ADMIN", value_name = "http://HOST:PORT")]
    pub router_admin: Option<String>,
    /// Router's port for keyed clients, to build git references; without it they are not built
    #[arg(long, env = "TRACKYARD_ROUTER_KEYED", value_name = "tcp://HOST:PORT", requires = "keys")]
    pub router_keyed: Option<String>,
    /// Namespace of the lease that only one operator holds; without it no second operator may run
    #[arg(long, env = "TRACKYARD_LEASE_NAMESPACE", value_name = "NAME")]
    pub lease_namespace: Option<String>,
    /// Name of the lease
    #[arg(long, env = "TRACKYARD_LEASE_NAME", value_name = "NAME", default_value = "trackyard-operator")]
    pub lease_name: String,
    /// Unique name of this operator in the lease, such as its pod's name; default: host name and process id
    #[arg(long, env = "TRACKYARD_IDENTITY", value_name = "NAME")]
    pub identity: Option<String>,
    /// Agent's image, for pools that set none
    #[arg(long, env = "TRACKYARD_AGENT_IMAGE", value_name = "IMAGE")]
    pub agent_image: String,
    /// Environment variable of every agent, such as TRACKYARD_ALLOW_BUCKET=submissions; a pool's own variables override it
    #[arg(long, env = "TRACKYARD_AGENT_ENV", value_name = "NAME=VALUE", value_delimiter = '\n')]
    pub agent_env: Vec<EnvVariable>,
    /// Secret in the pools' namespace whose keys become environment variables of every agent, such as AWS_ACCESS_KEY_ID
    #[arg(long, env = "TRACKYARD_AGENT_ENV_SECRET", value_name = "NAME")]
    pub agent_env_secret: Option<String>,
    /// Secret in the pools' namespace whose keys become files of every agent, in /etc/trackyard-agent
    #[arg(long, env = "TRACKYARD_AGENT_FILES_SECRET", value_name = "NAME")]
    pub agent_files_secret: Option<String>,
    /// Secret for the keys of router, workers and operator, which are generated if missing; without it the router has no key
    #[arg(long, env = "TRACKYARD_KEYS", value_name = "NAMESPACE/NAME", requires = "worker_key")]
    pub keys: Option<SecretRef>,
    /// Secret in the pools' namespace for the worker's keys and the router's public key
    #[arg(long, env = "TRACKYARD_WORKER_KEY", value_name = "NAME", requires = "keys")]
    pub worker_key: Option<String>,
    /// Generate no keys: a key that is missing in --keys is an error
    #[arg(long, env = "TRACKYARD_KEYS_GIVEN", requires = "keys")]
    pub keys_given: bool,
    /// Additional allowed key: `submit`, `administer` or `work`, a public key, and optionally a name
    #[arg(long, env = "TRACKYARD_ALLOW", value_name = "LINE", value_delimiter = '\n', value_parser = allowed_line)]
    pub allow: Vec<String>,
    /// Seconds after which a watch is started again; for tests
    #[arg(long, env = "TRACKYARD_WATCH_SECONDS", value_name = "SECONDS", default_value_t = 200, hide = true)]
    pub watch_seconds: u32,
    /// Address of /livez, /readyz and /metrics
    #[arg(long, env = "TRACKYARD_ADMIN", value_name = "ADDR", default_value = "127.0.0.1:9182")]
    pub admin: SocketAddr,
    /// Logging options.
    #[command(flatten)]
    pub logs: LogArgs,
}

impl Args {
    /// Returns the elector for the lease, if leader election is enabled.
    #[must_use]
    pub fn elector(&self, client: &Client, gate: &WriteGate) -> Option<LeaderElector> {
        let namespace = self.lease_namespace.as_ref()?;
        let identity = self
            .identity
            .clone()
            .unwrap_or_else(|| format!("{}-{}", uname().nodename().to_string_lossy(), std::process::id()));
        Some(LeaderElector::new(client.clone(), namespace, &self.lease_name, identity, gate.clone()))
    }

    /// Returns the Secrets of keys to maintain, if there are any.
    #[must_use]
    pub fn key_secrets(&self) -> Option<KeySecrets> {
        let worker = SecretRef { namespace: self.namespace.clone(), name: self.worker_key.clone()? };
        let policy = KeyPolicy { given: self.keys_given, allow: self.allow.clone() };
        Some(KeySecrets { keys: self.keys.clone()?, worker, policy })
    }

    /// Returns the settings that all agents share.
    #[must_use]
    pub fn agent_settings(&self) -> AgentSettings {
        AgentSettings {
            image: self.agent_image.clone(),
            router: self.router.clone(),
            environment: self
                .agent_env
                .iter()
                .map(|EnvVariable(name, value)| (name.clone(), value.clone()))
                .collect(),
            environment_secret: self.agent_env_secret.clone(),
            files_secret: self.agent_files_secret.clone(),
            key_secret: self.worker_key.clone(),
            share: AgentShare::default(),
        }
    }
}

fn allowed_line(line: &str) -> Result<String, Mistake> {
    line.parse::<Allowed>().map(|_| line.to_owned())
}

/// The name and the value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvVariable(pub String, pub String);

impl FromStr for EnvVariable {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').ok_or("a variable is NAME=VALUE")?;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err("a variable's name consists of A-Z a-z 0-9 _");
        }
        Ok(Self(name.to_owned(), value.to_owned()))
    }
}
