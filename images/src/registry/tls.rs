//! The HTTP client's common part: whom it trusts, and how it names itself.

use std::path::Path;

use reqwest::{Certificate, Client, ClientBuilder};

use super::endpoint::Endpoint;
use crate::error::Error;
use crate::options::Options;

const MAX_FILE: u64 = 4 << 20;

pub(super) fn client(endpoint: &Endpoint, options: &Options) -> Result<ClientBuilder, Error> {
    let mut builder = Client::builder()
        .user_agent(concat!("trackyard/", env!("CARGO_PKG_VERSION")))
        .referer(false)
        .connect_timeout(options.connect);
    if endpoint.is_loopback() {
        builder = builder.no_proxy();
    }
    if let Some(path) = &options.ca_file {
        builder = builder.tls_certs_merge(authorities(path)?);
    }
    Ok(builder)
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, Error> {
    let wrong = |detail: &str| {
        Error::configuration(format!("file of certificate authorities {}", path.display()), detail)
    };
    let size = std::fs::metadata(path).map_err(|e| wrong(&e.to_string()))?.len();
    if size > MAX_FILE {
        return Err(wrong("at most 4 MiB"));
    }
    let bytes = std::fs::read(path).map_err(|e| wrong(&e.to_string()))?;
    let all = Certificate::from_pem_bundle(&bytes).map_err(|_| wrong("certificates in PEM"))?;
    if all.is_empty() { Err(wrong("at least one certificate in PEM")) } else { Ok(all) }
}
