//! The client of the API server.

use kube::Client;
use trackyard_crds::client;

use super::watch::WATCH_TIMEOUT;

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no configuration of a cluster.
    #[error("cannot find a cluster: {0}; run the router in one, set KUBECONFIG, or leave out --namespace")]
    Config(#[from] kube::config::InferConfigError),
    /// The configuration of the cluster is invalid.
    #[error("cannot use the cluster's configuration: {0}")]
    Client(#[from] Box<kube::Error>),
}

/// Returns a client, which connects on first use: the API server need not be reachable yet.
///
/// # Errors
/// If there is no valid configuration of a cluster.
pub async fn connect() -> Result<Client, ConnectError> {
    let config = client::config(WATCH_TIMEOUT).await?;
    Ok(Client::try_from(config).map_err(Box::new)?)
}
