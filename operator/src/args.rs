//! The command line.

use std::net::SocketAddr;

use trackyard_daemon::logs::LogArgs;

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
    /// The agent's image for pools that name none
    #[arg(long, env = "TRACKYARD_AGENT_IMAGE", value_name = "IMAGE")]
    pub agent_image: String,
    /// Where /livez, /readyz and /metrics are served
    #[arg(long, env = "TRACKYARD_ADMIN", value_name = "ADDR", default_value = "127.0.0.1:9182")]
    pub admin: SocketAddr,
    /// Logs.
    #[command(flatten)]
    pub logs: LogArgs,
}

impl Args {
    /// What is the same for all pools.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings { image: self.agent_image.clone(), router: self.router.clone(), share: Share::default() }
    }
}
