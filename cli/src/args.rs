//! Groups of arguments that several commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use trackyard_protocol::channel::Channel;
use trackyard_protocol::client::Client;
use trackyard_protocol::keys::{Curve, KeyPair, PublicKey};
use trackyard_protocol::name::TrackSlug;

use crate::error::CommandError;

/// How to reach the router, and how to print its answer.
#[derive(Debug, Clone, Args)]
pub struct RouterArgs {
    /// The router's client address
    #[arg(long, value_name = "ADDRESS", env = "TRACKYARD_ROUTER", default_value = "tcp://127.0.0.1:5555")]
    pub router: String,
    /// Your CURVE keys, for the router's port for keyed clients
    #[arg(long, value_name = "FILE", env = "TRACKYARD_CLIENT_KEY", requires = "router_key")]
    pub key: Option<PathBuf>,
    /// The router's public key, for its port for keyed clients
    #[arg(long, value_name = "FILE", env = "TRACKYARD_ROUTER_KEY", requires = "key")]
    pub router_key: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show a doc comment here as help")]
    pub output: OutputArgs,
}

impl RouterArgs {
    /// Connects to the router.
    ///
    /// # Errors
    /// If the address is not valid, or a key file cannot be read.
    pub fn connect(&self) -> Result<Client, CommandError> {
        let curve = match self.key.as_deref().zip(self.router_key.as_deref()) {
            Some((own, router)) => Some(Curve { router: PublicKey::read(router)?, own: KeyPair::read(own)? }),
            None => None,
        };
        Ok(Client::connect_with(&self.router, curve.as_ref())?)
    }
}

/// How to print an answer.
#[derive(Debug, Clone, Args)]
pub struct OutputArgs {
    /// How to print the answer: `text` for people, or `json` with all that the router sent
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Output::Text, hide_possible_values = true)]
    pub output: Output,
}

/// Form of a printed answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// The whole answer
    Json,
}

/// A channel and a track.
#[derive(Debug, Clone, Args)]
pub struct TrackArgs {
    /// The track's slug, such as ruby
    #[arg(long)]
    pub track: TrackSlug,
    /// The type of work: test_runners, static_analyzers or representers
    #[arg(long, default_value = "test_runners", value_parser = parse_channel)]
    pub channel: Channel,
}

/// Parses a channel whose jobs run a track's container.
///
/// # Errors
/// For every other channel.
pub fn parse_channel(text: &str) -> Result<Channel, String> {
    Channel::TOOLING.into_iter().find(|channel| channel.as_str() == text).ok_or_else(|| {
        let known = Channel::TOOLING.map(Channel::as_str).join(", ");
        format!("must be one of {known}")
    })
}
