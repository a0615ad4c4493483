//! The way to the API server.

use std::time::Duration;

use kube::{Client, Config};

use super::watch::WATCH_SECONDS;

/// Longer than it takes to connect.
const PATIENCE: Duration = Duration::from_secs(10);
/// Something comes by every connection within so long, or it is dead: a watch ends earlier by itself.
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 30);

/// Why there is no way to a cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing says where it is.
    #[error("cannot find a cluster: {0}; run the router in one, set KUBECONFIG, or leave out --namespace")]
    Config(#[from] kube::config::InferConfigError),
    /// What says it cannot be used.
    #[error("cannot use the cluster's configuration: {0}")]
    Client(#[from] Box<kube::Error>),
}

/// A client. It connects when it is first used: the API server need not be there.
///
/// # Errors
/// If nothing says where the cluster is.
pub async fn connect() -> Result<Client, Error> {
    let mut config = Config::infer().await?;
    config.connect_timeout = Some(PATIENCE);
    config.read_timeout = Some(SILENCE);
    // A connection that has waited for its next request is not silent.
    config.reset_reader_on_write = true;
    // It would try again for minutes without a word; the watches have pauses of their own, and clients are told.
    config.default_retry = false;
    Ok(Client::try_from(config).map_err(Box::new)?)
}
