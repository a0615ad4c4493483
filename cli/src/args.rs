//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use trackyard_protocol::channel::Channel;
use trackyard_protocol::client::Client;
use trackyard_protocol::keys::{Curve, KeyPair, PublicKey};
use trackyard_protocol::name::TrackSlug;

use crate::error::Error;
use crate::{build, exit_code, keys, lint, local, status, submit, versions};

/// Run submissions through Trackyard, and look after it.
#[derive(Debug, Parser)]
#[command(name = "trackyard", version, after_help = exit_code::help(), max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the command line can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send one submission through its track's container, wait, and show the result
    Submit(submit::Submit),
    /// List the workers: what they serve, their slots, the versions they have ready
    Status(status::StatusArgs),
    /// Build a container version from its tooling repository, and release it
    Build(build::Build),
    /// Let jobs name one more container version
    Deploy(versions::Deploy),
    /// Let jobs no longer name a container version
    Unload(versions::Unload),
    /// List the deployed container versions, or those that the image source has
    Versions(versions::Versions),
    /// Make keys for clients, workers and routers
    Keys(keys::Keys),
    /// Say what a Kubernetes API server would say of manifests, without one
    Lint(lint::Lint),
    /// A whole Trackyard on this machine alone, on loopback
    Local(local::LocalArgs),
}

/// How to reach the router, and how to print its answer.
#[derive(Debug, Clone, Args)]
pub struct RouterArgs {
    /// The router's client address
    #[arg(long, value_name = "ADDRESS", env = "TRACKYARD_ROUTER", default_value = "tcp://127.0.0.1:5555")]
    pub router: String,
    /// Your CURVE keys, for a router's port of keyed clients
    #[arg(long, value_name = "FILE", env = "TRACKYARD_CLIENT_KEY", requires = "router_key")]
    pub key: Option<PathBuf>,
    /// The router's public key, for its port of keyed clients
    #[arg(long, value_name = "FILE", env = "TRACKYARD_ROUTER_KEY", requires = "key")]
    pub router_key: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show a doc comment here as help")]
    pub output: OutputArgs,
}

impl RouterArgs {
    /// A connection to the router.
    ///
    /// # Errors
    /// If the address or a key file is not one.
    pub fn connect(&self) -> Result<Client, Error> {
        let curve = match self.key.as_deref().zip(self.router_key.as_deref()) {
            Some((own, router)) => Some(Curve { router: PublicKey::read(router)?, own: KeyPair::read(own)? }),
            None => None,
        };
        Ok(Client::connect_with(&self.router, curve.as_ref())?)
    }
}

/// How to print the answer.
#[derive(Debug, Clone, Args)]
pub struct OutputArgs {
    /// `text` for people; `json` for the whole answer as the router gave it
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Output::Text, hide_possible_values = true)]
    pub output: Output,
}

/// How to print an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// The whole answer
    Json,
}

/// A channel and a track.
#[derive(Debug, Clone, Args)]
pub struct PlaceArgs {
    /// The language's slug, such as ruby
    #[arg(long)]
    pub track: TrackSlug,
    /// The kind of work: test_runners, static_analyzers or representers
    #[arg(long, default_value = "test_runners", value_parser = channel)]
    pub channel: Channel,
}

/// Reads a channel that runs tracks' containers.
///
/// # Errors
/// For any other word.
pub fn channel(word: &str) -> Result<Channel, String> {
    let known = || Channel::TOOLING.map(Channel::as_str).join(", ");
    Channel::TOOLING
        .into_iter()
        .find(|channel| channel.as_str() == word)
        .ok_or_else(|| format!("must be one of {}", known()))
}
