//! What all controllers share.

use kube::Client;

use crate::figures::Figures;
use crate::metrics::Metrics;
use crate::writer::Writer;

/// What all controllers share. Clones are the same.
#[derive(Clone)]
pub struct Shared {
    /// For watching.
    pub client: Client,
    /// The namespace of pools and versions.
    pub namespace: String,
    /// After so many seconds a watch begins again: below what load balancers allow a connection without a word.
    pub watch_seconds: u32,
    /// For writing.
    pub writer: Writer,
    /// The router's figures.
    pub figures: Figures,
    /// Metrics.
    pub metrics: Metrics,
}
