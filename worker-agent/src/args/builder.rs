//! The options that only workers of the channel builders have.

use std::path::PathBuf;

use clap::Args;
use trackyard_builder::driver::{DriverKind, Tools};
use trackyard_builder::fetch::FetchOptions;

/// The options of builders.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Builders")]
pub struct BuilderArgs {
    /// The driver of builds: img, buildkit or buildah
    #[arg(long, env = "TRACKYARD_DRIVER", default_value_t = DriverKind::Img)]
    pub driver: DriverKind,
    /// A directory to search for the driver's programs before PATH
    #[arg(long, env = "TRACKYARD_TOOLS", value_name = "DIR")]
    pub tools: Option<PathBuf>,
    /// A registry for base images that speaks plain HTTP (not with img)
    #[arg(
        long = "plain-registry",
        env = "TRACKYARD_PLAIN_REGISTRY",
        value_name = "HOST:PORT",
        value_delimiter = ','
    )]
    pub plain_registries: Vec<String>,
    /// A directory with a Docker config.json: credentials for base images. Builds can read them, so do not use those
    /// for releases
    #[arg(long, env = "TRACKYARD_BASE_DOCKER_CONFIG", value_name = "DIR")]
    pub base_docker_config: Option<PathBuf>,
    /// Credentials for https:// repositories, in the format of git's `store` helper
    #[arg(long, env = "TRACKYARD_GIT_CREDENTIALS", value_name = "FILE")]
    pub git_credentials: Option<PathBuf>,
    /// The private key for repositories by ssh
    #[arg(long, env = "TRACKYARD_SSH_KEY", value_name = "FILE", requires = "known_hosts")]
    pub ssh_key: Option<PathBuf>,
    /// The host keys for repositories by ssh, in the format of ~/.ssh/known_hosts
    #[arg(long, env = "TRACKYARD_KNOWN_HOSTS", value_name = "FILE")]
    pub known_hosts: Option<PathBuf>,
}

impl BuilderArgs {
    /// Returns where the drivers' programs are, and what they may use.
    #[must_use]
    pub fn tools(&self) -> Tools {
        Tools {
            dir: self.tools.clone(),
            docker_config: self.base_docker_config.clone(),
            plain_registries: self.plain_registries.clone(),
        }
    }

    /// Returns how repositories are fetched: not by `file://`.
    #[must_use]
    pub fn fetching(&self) -> FetchOptions {
        FetchOptions {
            credentials: self.git_credentials.clone(),
            ssh_key: self.ssh_key.clone(),
            known_hosts: self.known_hosts.clone(),
            ..FetchOptions::default()
        }
    }
}
