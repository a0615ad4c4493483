//! The command line.

use std::net::SocketAddr;
use std::str::FromStr;

use kube::Client;
use rustix::system::uname;
use trackyard_daemon::logs::LogArgs;
use trackyard_protocol::allowed::{Allowed, Mistake};

use crate::keys::{self, Place};
use crate::lease::{Gate, Lease};
use crate::pool::build::{Settings, Share};

/// Makes pods of WorkerPools.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "trackyard-operator", version)]
pub struct Args {
    /// The namespace of the pools, and of their pods
    #[arg(long, env = "TRACKYARD_NAMESPACE")]
    pub namespace: String,
    /// The router's client port as workers reach it
    #[arg(long, env = "TRACKYARD_ROUTER", value_name = "tcp://HOST:PORT")]
    pub router: String,
    /// The router's admin port, for the numbers by which pools scale and versions are ready
    #[arg(long, env = "TRACKYARD_ROUTER_ADMIN", value_name = "http://HOST:PORT")]
    pub router_admin: Option<String>,
    /// The router's port of keyed clients, for builds of git references; none: they are not built
    #[arg(long, env = "TRACKYARD_ROUTER_KEYED", value_name = "tcp://HOST:PORT", requires = "keys")]
    pub router_keyed: Option<String>,
    /// The namespace of the lease that one operator holds; none: there is no other operator
    #[arg(long, env = "TRACKYARD_LEASE_NAMESPACE", value_name = "NAME")]
    pub lease_namespace: Option<String>,
    /// The lease's name
    #[arg(long, env = "TRACKYARD_LEASE_NAME", value_name = "NAME", default_value = "trackyard-operator")]
    pub lease_name: String,
    /// Who this operator is: its pod's name
    #[arg(long, env = "TRACKYARD_IDENTITY", value_name = "NAME")]
    pub identity: Option<String>,
    /// The agent's image for pools that name none
    #[arg(long, env = "TRACKYARD_AGENT_IMAGE", value_name = "IMAGE")]
    pub agent_image: String,
    /// A variable of every agent, such as TRACKYARD_ALLOW_BUCKET=submissions; a pool's own come after it
    #[arg(long, env = "TRACKYARD_AGENT_ENV", value_name = "NAME=VALUE", value_delimiter = '\n')]
    pub agent_env: Vec<Variable>,
    /// A Secret of the pools' namespace whose keys are variables of every agent, such as AWS_ACCESS_KEY_ID
    #[arg(long, env = "TRACKYARD_AGENT_ENV_SECRET", value_name = "NAME")]
    pub agent_env_secret: Option<String>,
    /// A Secret of the pools' namespace whose keys are files of every agent, in /etc/trackyard-agent
    #[arg(long, env = "TRACKYARD_AGENT_FILES_SECRET", value_name = "NAME")]
    pub agent_files_secret: Option<String>,
    /// A Secret for the keys of router, workers and operator, which are made if it has none; none: the router has no key
    #[arg(long, env = "TRACKYARD_KEYS", value_name = "NAMESPACE/NAME", requires = "worker_key")]
    pub keys: Option<Place>,
    /// A Secret of the pools' namespace for the worker's keys and the router's public one
    #[arg(long, env = "TRACKYARD_WORKER_KEY", value_name = "NAME", requires = "keys")]
    pub worker_key: Option<String>,
    /// The keys are somebody else's to make: what is missing in --keys is an error
    #[arg(long, env = "TRACKYARD_KEYS_GIVEN", requires = "keys")]
    pub keys_given: bool,
    /// Who else may do what: `submit`, `administer` or `work`, a public key, and a name if you like
    #[arg(long, env = "TRACKYARD_ALLOW", value_name = "LINE", value_delimiter = '\n', value_parser = allowed_line)]
    pub allow: Vec<String>,
    /// Seconds after which a watch begins again; for tests
    #[arg(long, env = "TRACKYARD_WATCH_SECONDS", value_name = "SECONDS", default_value_t = 200, hide = true)]
    pub watch_seconds: u32,
    /// Where /livez, /readyz and /metrics are served
    #[arg(long, env = "TRACKYARD_ADMIN", value_name = "ADDR", default_value = "127.0.0.1:9182")]
    pub admin: SocketAddr,
    /// Logs.
    #[command(flatten)]
    pub logs: LogArgs,
}

impl Args {
    /// The lease that one operator holds, if there is to be one.
    #[must_use]
    pub fn lease(&self, client: &Client, gate: &Gate) -> Option<Lease> {
        let namespace = self.lease_namespace.as_ref()?;
        let host = || format!("{}-{}", uname().nodename().to_string_lossy(), std::process::id());
        let identity = self.identity.clone().unwrap_or_else(host);
        Some(Lease::new(client.clone(), namespace, &self.lease_name, identity, gate.clone()))
    }

    /// The keys to keep, if there are to be any.
    #[must_use]
    pub fn keys(&self) -> Option<keys::Plan> {
        let (keys, worker) = (self.keys.clone()?, self.worker_key.clone()?);
        let worker = Place { namespace: self.namespace.clone(), name: worker };
        let rules = keys::Rules { given: self.keys_given, allow: self.allow.clone() };
        Some(keys::Plan { keys, worker, rules })
    }

    /// What is the same for all pools.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            image: self.agent_image.clone(),
            router: self.router.clone(),
            environment: self
                .agent_env
                .iter()
                .map(|Variable(name, value)| (name.clone(), value.clone()))
                .collect(),
            environment_secret: self.agent_env_secret.clone(),
            files_secret: self.agent_files_secret.clone(),
            key_secret: self.worker_key.clone(),
            share: Share::default(),
        }
    }
}

fn allowed_line(line: &str) -> Result<String, Mistake> {
    line.parse::<Allowed>().map(|_| line.to_owned())
}

/// A name and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable(pub String, pub String);

impl FromStr for Variable {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').ok_or("a variable is NAME=VALUE")?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err("a variable's name is of A-Z a-z 0-9 _");
        }
        Ok(Self(name.to_owned(), value.to_owned()))
    }
}
