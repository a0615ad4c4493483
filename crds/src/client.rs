//! What the router and the operator share as clients of the API server.

use std::time::Duration;

use kube::core::DeserializeGuard;
use kube::{Config, Resource, config};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time beyond the timeout of a watch after which a connection without data is dead.
const READ_MARGIN: Duration = Duration::from_secs(30);

/// Returns the configuration of a client whose watches end after `watch_timeout`.
///
/// # Errors
/// If no cluster is configured: neither by the environment of a pod nor by KUBECONFIG.
pub async fn config(watch_timeout: Duration) -> Result<Config, config::InferConfigError> {
    let mut config = Config::infer().await?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(watch_timeout + READ_MARGIN);
    // An idle connection that gets its next request is not dead.
    config.reset_reader_on_write = true;
    // kube's own retries would last minutes without a log line. Watches and callers retry themselves, and log failures.
    config.default_retry = false;
    Ok(config)
}

/// Logs an object that could not be decoded. Returns whether it did.
pub fn log_undecodable<K: Resource<DynamicType = ()>>(guard: &DeserializeGuard<K>) -> bool {
    if let Err(invalid) = &guard.0 {
        let name = invalid.metadata.name.as_deref().unwrap_or_default();
        tracing::error!(kind = %K::kind(&()), name, error = invalid.error, "cannot decode the object; it is ignored");
    }
    guard.0.is_err()
}
