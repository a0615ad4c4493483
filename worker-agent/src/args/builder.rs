//! What only workers of the channel builders need.

use std::path::PathBuf;

use clap::Args;
use trackyard_builder::driver::{DriverKind, Tools};
use trackyard_builder::fetch::FetchOptions;

/// How a builder builds.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Builders")]
pub struct BuilderArgs {
    /// What builds: img, buildkit or buildah
    #[arg(long, env = "TRACKYARD_DRIVER", default_value_t = DriverKind::Img)]
    pub driver: DriverKind,
    /// A directory that is looked into for the driver's programs before PATH
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
    /// A directory with a config.json as Docker has it: credentials for base images. Builds could read them, so they must
    /// not be those that images are released with
    #[arg(long, env = "TRACKYARD_BASE_DOCKER_CONFIG", value_name = "DIR")]
    pub base_docker_config: Option<PathBuf>,
    /// User names and passwords for https:// repositories, in the form of git's `store` helper
    #[arg(long, env = "TRACKYARD_GIT_CREDENTIALS", value_name = "FILE")]
    pub git_credentials: Option<PathBuf>,
    /// The private key for repositories by ssh
    #[arg(long, env = "TRACKYARD_SSH_KEY", value_name = "FILE", requires = "known_hosts")]
    pub ssh_key: Option<PathBuf>,
    /// The hosts' keys for repositories by ssh, as in ~/.ssh/known_hosts
    #[arg(long, env = "TRACKYARD_KNOWN_HOSTS", value_name = "FILE")]
    pub known_hosts: Option<PathBuf>,
}

impl BuilderArgs {
    /// Where the drivers' programs are, and what they may use.
    #[must_use]
    pub fn tools(&self) -> Tools {
        Tools {
            dir: self.tools.clone(),
            docker_config: self.base_docker_config.clone(),
            plain_registries: self.plain_registries.clone(),
        }
    }

    /// How repositories are fetched; none by `file://`.
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
