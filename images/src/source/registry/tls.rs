//! Common settings of the HTTP clients: user agent, timeout and trusted certificate authorities.

use std::path::Path;

use reqwest::{Certificate, Client, ClientBuilder};

use super::endpoint::Endpoint;
use crate::error::ImageError;
use crate::options::ImageOptions;

const MAX_CA_FILE_BYTES: u64 = 4 << 20;

pub(super) fn client_builder(
    endpoint: &Endpoint,
    options: &ImageOptions,
) -> Result<ClientBuilder, ImageError> {
    let mut builder = Client::builder()
        .user_agent(concat!("trackyard/", env!("CARGO_PKG_VERSION")))
        .referer(false)
        .connect_timeout(options.connect_timeout);
    if endpoint.is_loopback() {
        builder = builder.no_proxy();
    }
    if let Some(path) = &options.ca_file {
        builder = builder.tls_certs_merge(authorities(path)?);
    }
    Ok(builder)
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, ImageError> {
    let invalid = |detail: &str| {
        ImageError::configuration(format!("file of certificate authorities {}", path.display()), detail)
    };
    let size = std::fs::metadata(path).map_err(|e| invalid(&e.to_string()))?.len();
    if size > MAX_CA_FILE_BYTES {
        return Err(invalid("it must have at most 4 MiB"));
    }
    let bytes = std::fs::read(path).map_err(|e| invalid(&e.to_string()))?;
    let all =
        Certificate::from_pem_bundle(&bytes).map_err(|_| invalid("it must hold certificates in PEM"))?;
    if all.is_empty() { Err(invalid("it must hold at least one certificate in PEM")) } else { Ok(all) }
}
