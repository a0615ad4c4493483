//! The client of the API server.

use std::time::Duration;

use kube::{Client, Config};

use super::watch::WATCH_TIMEOUT_SECONDS;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time without a byte after which a connection is dead. A watch ends earlier by itself.
const READ_TIMEOUT: Duration = Duration::from_secs(WATCH_TIMEOUT_SECONDS as u64 + 30);

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
    let mut config = Config::infer().await?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    // An idle connection that gets its next request is not dead.
    config.reset_reader_on_write = true;
    // kube's own retries would last minutes without a log line. The watches back off by themselves, and clients get an error.
    config.default_retry = false;
    Ok(Client::try_from(config).map_err(Box::new)?)
}
